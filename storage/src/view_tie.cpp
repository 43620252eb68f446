#include "view_tie.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <cstring>
#include <string>
#include <utility>

namespace acta::storage {

error made_anew(const error& why, const std::filesystem::path& directory) {
  if (why.code() != errc::corrupt && why.code() != errc::newer_format) {
    constexpr std::string_view store = "open the store again";
    auto text = why.message();
    if (const auto at = text.rfind(store); at != std::string::npos)
      text.replace(at, store.size(), "open the view again");
    return {why.code(), std::move(text)};
  }
  const auto what = why.message().substr(0, why.message().rfind("; "));
  return {why.code(), fmt::format("{}; close the store, remove the directory '{}' and open it "
                                  "again: the view is made anew",
                                  what, directory.string())};
}

result<std::optional<std::uint64_t>> checksum_at(const event_log& log, log_position position) {
  if (position == log_position(0))
    return std::nullopt;
  const auto now = log.snapshot();
  if (!now)
    return std::unexpected(now.error());
  if (position.next() == (*now)->first())
    return std::nullopt;
  const auto record = (*now)->at(position);
  if (!record)
    return std::unexpected(record.error());
  return record->header().checksum;
}

result<view_tie> check_view_tie(std::span<const std::byte> value, const event_log& log,
                                std::string_view label, const std::filesystem::path& file) {
  const auto refused = [&](std::string_view why) {
    return std::unexpected(made_anew(
      error(errc::corrupt, fmt::format("'{}' {}; ", file.string(), why)), file.parent_path()));
  };
  const view_tie expected;
  view_tie tie;
  if (value.size() < sizeof tie)
    return refused("is not a view of this format");
  std::memcpy(&tie, value.data(), sizeof tie);
  if (tie.magic != expected.magic || tie.format != expected.format
      || tie.endian_mark != expected.endian_mark)
    return refused("is not a view of this format");
  const auto text = value.subspan(sizeof tie);
  const std::string_view named(reinterpret_cast<const char*>(text.data()), text.size());
  if (named != label)
    return refused(fmt::format("is of the view '{}' and not of '{}'", named, label));
  const auto id = log.store_id();
  ensure(id.size() == tie.store_id.size(), "a store on disk has an id of 32 digits");
  if (std::string_view(tie.store_id.data(), tie.store_id.size()) != id)
    return refused("is a view of another store");
  if (log_position(tie.position) > log.tail())
    return refused("is ahead of the log");
  const auto checksum = checksum_at(log, log_position(tie.position));
  if (!checksum && checksum.error().code() == errc::not_found)
    return refused("lacks events that were archived meanwhile");
  if (!checksum)
    return std::unexpected(checksum.error());
  if (*checksum && **checksum != tie.checksum)
    return refused("was built from another log");
  return tie;
}

} // namespace acta::storage
