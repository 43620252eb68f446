#include "recent_commands.hpp"

#include <acta/base/ensure.hpp>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

namespace acta::runtime {

namespace {

constexpr std::size_t first_capacity = 4;

} // namespace

recent_commands::owned_ring recent_commands::make(std::size_t capacity) {
  auto* made = new (::operator new(sizeof(ring) + capacity * sizeof(entry))) ring;
  std::uninitialized_default_construct_n(made->entries(), capacity);
  made->capacity = capacity;
  return owned_ring(made);
}

std::size_t recent_commands::memory() const noexcept {
  return ring_ == nullptr ? 0 : sizeof(ring) + ring_->capacity * sizeof(entry);
}

void recent_commands::add(const entry& one, std::size_t window) {
  if (window == 0)
    return;
  ensure(one.version != 0 && one.events != 0, "a command is remembered for its events");
  if (ring_ == nullptr)
    ring_ = make(std::min(window, first_capacity));
  if (ring_->size == ring_->capacity && ring_->size < window) {
    auto more = make(std::min<std::size_t>(window, ring_->capacity * 2));
    std::copy_n(ring_->entries(), ring_->size, more->entries());
    more->size = ring_->size;
    ring_ = std::move(more);
  }
  auto& in = *ring_;
  bits_ |= bit_of(one.id);
  if (in.size < in.capacity) {
    in.entries()[in.size++] = one;
    return;
  }
  ensure(in.size == window, "the window does not change");
  in.entries()[in.oldest] = one;
  in.oldest = (in.oldest + 1) % in.size;
  if (in.oldest != 0)
    return;
  bits_ = 0; // of those that are still there
  for (std::size_t i = 0; i < in.size; ++i)
    bits_ |= bit_of(in.entries()[i].id);
}

std::vector<std::byte> recent_commands::saved(std::size_t window) const {
  const std::uint64_t head = window;
  const std::size_t size = ring_ == nullptr ? 0 : ring_->size;
  std::vector<std::byte> bytes(sizeof head + size * sizeof(entry));
  std::memcpy(bytes.data(), &head, sizeof head);
  auto* to = bytes.data() + sizeof head;
  for (std::size_t i = 0; i < size; ++i, to += sizeof(entry))
    std::memcpy(to, &ring_->entries()[(ring_->oldest + i) % size], sizeof(entry));
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
  saved_window &= 0xffff'ffffU; // the other half counts timers, which are not in here
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
