#pragma once

#include "derived_problem.hpp"
#include "timer_file.hpp"

#include <acta/base/ids.hpp>
#include <acta/storage/record.hpp>
#include <acta/storage/timer_checkpoint.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace acta::storage {

/// Compares the checkpoint of pending timers with its log: that it is of this store and log, and
/// that each timer's stream has the event that set it. What that event says is the engine's to
/// read; whether a timer is missing is not looked for. One that goes further than the log, or ends
/// before it begins, is not used by engines, and not compared.
class timer_check {
public:
  /// `store_id` (empty if it does not read), `first` and `tail` are the log's; what is found goes
  /// to `found`.
  timer_check(std::string_view store_id, log_position first, log_position tail, timer_file file,
              derived_sink found);

  /// Shows it a record of the log, in order.
  void add(const record_view& record);
  /// After all records.
  void end() const;

private:
  struct timer {
    pending_timer of;
    std::uint64_t stream; ///< Its hash.
    bool seen = false;
  };

  timer_file file_;
  derived_sink found_;
  bool is_compared_;
  bool begins_at_1_;
  std::vector<timer> all_; ///< By stream and version.
};

} // namespace acta::storage
