#pragma once

#include <acta/storage/event_log.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

namespace acta::storage {

/// The cursor of both logs. `Source` reads one record after another in the direction it was made
/// for: `result<record_view> read(std::uint64_t position)`.
template <class Source>
class scanning_cursor final : public log_cursor {
public:
  scanning_cursor(Source source, log_position from, log_position first, log_position tail,
                  scan_options options)
      : source_(std::move(source)), options_(std::move(options)) {
    const bool forward = options_.way == direction::forward;
    next_ = forward ? std::max(first, from).value() : std::min(from, tail).value();
    left_ = 0;
    if (forward && options_.up_to != log_position(0))
      tail = std::min(tail, options_.up_to);
    if (next_ >= first.value() && next_ <= tail.value())
      left_ = forward ? tail.value() - next_ + 1 : next_ - first.value() + 1;
  }

  [[nodiscard]] result<std::span<const record_view>> next() override {
    if (failed_)
      return std::unexpected(*failed_);
    const auto step = options_.way == direction::forward ? std::uint64_t{1} : ~std::uint64_t{0};
    const bool all =
      options_.category == category_id(0) && options_.event_types.empty() && options_.parts == 1;
    std::size_t count = 0;
    for (; left_ != 0 && count < batch_.size(); next_ += step, --left_) {
      auto record = source_.read(next_);
      if (!record) [[unlikely]] {
        failed_ = std::move(record.error());
        if (count == 0)
          return std::unexpected(*failed_);
        break;
      }
      batch_[count] = *record;
      count += all || is_wanted(*record) ? 1U : 0U;
    }
    return std::span<const record_view>(batch_.data(), count);
  }

private:
  [[nodiscard]] bool is_wanted(const record_view& record) const noexcept {
    const auto& types = options_.event_types;
    return (options_.category == category_id(0)
            || options_.category.value() == record.header().category)
           && (types.empty() || std::ranges::find(types, record.event_type()) != types.end())
           && (options_.parts == 1 || record.stream_hash() % options_.parts == options_.part);
  }

  Source source_;
  scan_options options_;
  std::uint64_t next_ = 0;
  std::uint64_t left_ = 0;      ///< Records from next_ on, in the cursor's direction.
  std::optional<error> failed_; ///< Told after the records before it, and from then on.
  std::array<record_view, limits::cursor_batch> batch_;
};

} // namespace acta::storage
