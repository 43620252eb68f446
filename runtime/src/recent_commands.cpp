#include "recent_commands.hpp"

#include <acta/base/ensure.hpp>

#include <algorithm>
#include <bit>
#include <utility>

namespace acta::runtime {

void recent_commands::add(const entry& one, std::size_t window) {
  if (window == 0)
    return;
  ensure(one.version != 0 && one.events != 0, "a command is remembered for its events");
  bits_ |= bit_of(one.id);
  if (size_ < window) {
    if (size_ >= few_.size() && std::has_single_bit(size_)) { // all that there is room for
      auto more = std::make_unique<entry[]>(std::min<std::size_t>(window, std::size_t{size_} * 2));
      std::copy_n(entries(), size_, more.get());
      many_ = std::move(more);
    }
    entries()[size_++] = one;
    return;
  }
  ensure(size_ == window, "the window does not change");
  entries()[oldest_] = one;
  oldest_ = (oldest_ + 1) % size_;
  if (oldest_ != 0)
    return;
  bits_ = 0; // of those that are still there
  for (std::size_t i = 0; i < size_; ++i)
    bits_ |= bit_of(entries()[i].id);
}

} // namespace acta::runtime
