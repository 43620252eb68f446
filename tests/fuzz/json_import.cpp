// Any text as an export: it is refused, or it is a log whose own export reads back as the same.
#include <acta/storage/json_lines.hpp>
#include <acta/storage/verify.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>

using namespace acta;

namespace {

std::string exported(const storage::event_log& log) {
  std::string text;
  const auto done = storage::export_json(log, [&](std::string_view part) -> result<void> {
    text += part;
    return {};
  });
  if (!done)
    std::abort();
  return text;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream in(std::string(reinterpret_cast<const char*>(data), size));
  const auto log = storage::make_memory_log();
  const auto done = storage::import_json(in, "input", *log);
  if (!done)
    return done.error().message().empty() ? (std::abort(), 0) : 0;
  // What the schemas are, and whether the payloads are of them, is not an import's to say.
  const auto verified = storage::verify(*log);
  if (!verified)
    std::abort();
  for (const auto& found : verified->findings)
    if (found.what.find("payload") == std::string::npos
        && found.what.find("schema") == std::string::npos)
      std::abort();
  const auto text = exported(*log);
  std::istringstream again(text);
  const auto copy = storage::make_memory_log();
  if (!storage::import_json(again, "export", *copy) || exported(*copy) != text)
    std::abort();
  return 0;
}
