#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

/// What a command cannot be faster than: the log's library and the actors' library alone, doing
/// the same amount of their part of the work.
namespace acta::bench {

/// The records of a log, copied, each 8-byte aligned.
class record_bytes {
public:
  void add(std::span<const std::byte> record);
  [[nodiscard]] std::size_t size() const noexcept { return ends_.size(); }
  [[nodiscard]] std::span<const std::byte> operator[](std::size_t index) const noexcept {
    const auto begin = index == 0 ? 0 : ends_[index - 1];
    return std::span(bytes_).subspan(begin, ends_[index] - begin);
  }

private:
  std::vector<std::byte> bytes_;
  std::vector<std::size_t> ends_;
};

/// Seconds to append the records to a new LMDB environment in `directory`, `per_transaction` at a
/// time, with LMDB's default sync: keys and flags as in an Acta store.
[[nodiscard]] double append_to_lmdb(const std::filesystem::path& directory,
                                    const record_bytes& records, std::size_t per_transaction);

/// Seconds to send a message to one of `actors` event-based CAF actors for each of `keys`, from one
/// thread, with at most `window` not handled yet, until the last is handled by CAF's one worker
/// (work sharing). The actors are spawned before.
[[nodiscard]] double send_through_caf(std::size_t actors, const std::vector<std::uint32_t>& keys,
                                      std::size_t window);

} // namespace acta::bench
