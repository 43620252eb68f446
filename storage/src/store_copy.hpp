#pragma once

#include "log_environment.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/backup.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/record.hpp>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>

/// What a backup and an import need beyond event_log: a store that is another one's copy.
namespace acta::storage {

/// With memcmp(): std::ranges::equal() goes through std::byte one by one, and records are large.
[[nodiscard]] inline bool same_bytes(const record_view& one, const record_view& other) noexcept {
  return one.bytes().size() == other.bytes().size()
         && std::memcmp(one.bytes().data(), other.bytes().data(), one.bytes().size()) == 0;
}

/// A log that takes records with the dates they have. All of this library's that may be written.
class dated_log {
public:
  dated_log(const dated_log&) = delete;
  dated_log& operator=(const dated_log&) = delete;
  virtual ~dated_log() = default;

  /// event_log::append() of finished records, byte for byte. Their checksums and that their dates
  /// do not fall are the caller's care.
  [[nodiscard]] virtual result<log_position>
  append_dated(std::span<const std::span<const std::byte>> records) = 0;

  /// Makes an empty log begin elsewhere: at the position where the one that is copied does.
  [[nodiscard]] virtual result<void> begin_at(const log_start& start) = 0;

protected:
  dated_log() = default;
};

/// open_log() at durability `power`; a store that is new becomes `of`, and one that is another is
/// refused: errc::invalid_argument.
[[nodiscard]] result<std::unique_ptr<event_log>> open_copy(const std::filesystem::path& directory,
                                                           const store_identity& of);

/// back_up(), of the records up to `end`, which is the last of a command; of all without it. A copy
/// that has more of them stays as it is.
[[nodiscard]] result<backup_result>
copy_log(const event_log& log, const std::filesystem::path& directory,
         std::optional<log_position> end,
         const std::function<void(log_position, log_position)>& progress);

/// Gives `to` the names of `from`, with the same ids, and the schemas of its event types.
/// errc::invalid_argument if it has other names.
[[nodiscard]] result<void> copy_names(const event_log& from, event_log& to);

} // namespace acta::storage
