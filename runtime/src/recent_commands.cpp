#include "recent_commands.hpp"

#include <acta/base/ensure.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
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

std::vector<std::byte> recent_commands::saved(std::size_t window) const {
  const std::uint64_t head = window;
  std::vector<std::byte> bytes(sizeof head + size_ * sizeof(entry));
  std::memcpy(bytes.data(), &head, sizeof head);
  auto* to = bytes.data() + sizeof head;
  for (std::size_t i = 0; i < size_; ++i, to += sizeof(entry))
    std::memcpy(to, &entries()[(oldest_ + i) % size_], sizeof(entry));
  ensure(to == bytes.data() + bytes.size(), "each command was saved");
  return bytes;
}

recent_commands::loading recent_commands::load(std::span<const std::byte> saved,
                                               std::uint64_t version, std::size_t window) {
  ensure(empty(), "what is loaded was forgotten before");
  std::uint64_t saved_window = 0;
  if (saved.size() < sizeof saved_window
      || (saved.size() - sizeof saved_window) % sizeof(entry) != 0)
    return loading::malformed;
  std::memcpy(&saved_window, saved.data(), sizeof saved_window);
  std::vector<entry> all((saved.size() - sizeof saved_window) / sizeof(entry));
  if (!all.empty())
    std::memcpy(all.data(), saved.data() + sizeof saved_window, all.size() * sizeof(entry));
  if (all.size() > saved_window || std::ranges::any_of(all, [&](const entry& one) {
        return one.version == 0 || one.version > version || one.events == 0;
      }))
    return loading::malformed;
  for (const auto& one : all)
    add(one, window);
  const bool may_lack_some = saved_window < window && all.size() == saved_window;
  return may_lack_some ? loading::too_short : loading::whole;
}

} // namespace acta::runtime
