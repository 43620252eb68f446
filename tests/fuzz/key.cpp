// Any bytes as a key, and any text as the name of a stream: what is one comes back the same.
#include <acta/base/ids.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/stream_name.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

using namespace acta;

namespace {

const storage::event_log& log_with_categories() {
  static const auto log = [] {
    auto made = storage::make_memory_log();
    for (const auto* name : {"order", "a", "a/b"})
      if (!made->register_category(name))
        std::abort();
    return made;
  }();
  return *log;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto kind : {key_kind::integer, key_kind::uuid, key_kind::text}) {
    const auto id = stream_id::from_bytes(category_id(1), kind, std::as_bytes(std::span(text)));
    if (!id)
      continue;
    const auto back = storage::parse_key(category_id(1), kind, storage::key_text(*id));
    if (!back || !(*back == *id) || stream_hash(*back) != stream_hash(*id))
      std::abort();
  }
  if (const auto named = storage::parse_stream(log_with_categories(), text);
      named && named->to_string().empty())
    std::abort();
  return 0;
}
