#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/record.hpp>

#include <fmt/format.h>

#include <optional>

namespace acta::storage {

/// Checks that the events of a command are adjacent and whole (I3).
class command_check {
public:
  /// At the end of the log.
  [[nodiscard]] result<void> end() const {
    if (!last_ || last_->remaining == 0)
      return {};
    return failure(errc::corrupt, fmt::format("the log ends within a command, {} of whose events "
                                              "are missing; restore a backup",
                                              last_->remaining));
  }

  /// Expects whatever comes next: what was before it could not be read.
  void forget() noexcept { last_.reset(); }

  /// After an error, goes on from this record.
  [[nodiscard]] result<void> next(const record_view& record) {
    const auto& header = record.header();
    const bool fits = !last_ || last_->remaining == 0
                      || (header.remaining + 1 == last_->remaining
                          && header.command == last_->command && record.is_of(*stream_));
    if (header.remaining != 0)
      stream_ = record.stream();
    last_ = header;
    if (!fits)
      return failure(errc::corrupt,
                     fmt::format("position {}: the command at the position before it should go on "
                                 "here; the log is damaged: restore a backup",
                                 record.position().value()));
    return {};
  }

private:
  std::optional<record_header> last_;
  std::optional<stream_id> stream_;
};

} // namespace acta::storage
