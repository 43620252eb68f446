// Any bytes as a schema and as an event by it: the event prints as JSON, or is refused.
#include <acta/storage/event_json.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/record.hpp>
#include <acta/storage/schema.hpp>
#include <acta/storage/verify.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

using namespace acta;

namespace {

/// Appends an event with this payload.
void append(storage::event_log& log, event_type_id type, std::span<const std::byte> payload) {
  const stream_id stream(category_id(1), 7);
  const storage::record_fields fields{.stream = stream,
                                      .version = stream_version(1),
                                      .command = command_id::of(1, 1),
                                      .event_type = type,
                                      .metadata = {},
                                      .payload = payload};
  std::vector<std::uint64_t> words(storage::record_size(fields) / sizeof(std::uint64_t));
  storage::encode_record(fields, reinterpret_cast<std::byte*>(words.data()));
  const auto bytes = std::as_bytes(std::span(words));
  if (!log.append({&bytes, 1}, 0))
    std::abort();
}

[[nodiscard]] bool is_plain(std::string_view text) {
  return text.starts_with('{') && text.ends_with('}')
         && std::ranges::all_of(text, [](char one) { return one >= ' ' && one <= '~'; });
}

} // namespace

/// Two bytes say how many of the others are the schema.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::uint16_t schema_size = 0;
  if (size < sizeof schema_size)
    return 0;
  std::memcpy(&schema_size, data, sizeof schema_size);
  const auto all = std::as_bytes(std::span(data, size)).subspan(sizeof schema_size);
  const auto bfbs = all.first(std::min<std::size_t>(schema_size, all.size()));
  const auto log = storage::make_memory_log();
  const auto category = log->register_category("order");
  const auto type = log->register_event_type("shop.event");
  if (bfbs.empty() || !category || !type)
    return 0;
  const storage::event_schema schema{*type, bfbs};
  const bool is_schema = storage::register_schemas(*log, {&schema, 1}).has_value();
  if (is_schema && !storage::register_schemas(*log, {&schema, 1})) // no other than itself
    std::abort();
  if (!is_schema && !log->put_schemas({&schema, 1}))
    std::abort();
  append(*log, *type, all.subspan(bfbs.size()));
  storage::event_json json(*log);
  const auto snapshot = log->snapshot();
  const auto record = (*snapshot)->at(log_position(1));
  const auto text = json.text(*record);
  if (text ? !is_schema || !is_plain(*text)
           : text.error().code() != errc::corrupt && text.error().code() != errc::too_large)
    std::abort();
  const auto verified = storage::verify(*log);
  if (!verified || (verified->problems == 0) != (text || text.error().code() == errc::too_large))
    std::abort();
  return 0;
}
