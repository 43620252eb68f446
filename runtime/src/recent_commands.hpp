#pragma once

#include "prefetch.hpp"

#include <acta/base/ids.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace acta::runtime {

/// The newest commands of an aggregate that stored events, so that a repeat is recognised. A
/// pointer, as a million aggregates whose commands have no ids must be small.
class recent_commands {
public:
  /// Enough to answer a repeat.
  struct entry {
    command_id id;
    std::uint64_t version : 48; ///< After its last event.
    std::uint64_t events : 16;
  };
  static_assert(sizeof(entry) == 24, "docs/format.md");

  /// Asks for what add() is going to change.
  void prefetch() const noexcept {
    if (ring_ != nullptr)
      runtime::prefetch(ring_.get(), 2);
  }

  /// Null if it is not among them.
  [[nodiscard]] const entry* find(const command_id& id) const noexcept {
    if ((bits_ & bit_of(id)) != 0)
      for (std::size_t i = 0; i < ring_->size; ++i)
        if (ring_->entries()[i].id == id)
          return &ring_->entries()[i];
    return nullptr;
  }

  /// Adds one in place of the oldest, if there are `window` already. `window` is always the same.
  void add(const entry& one, std::size_t window);

  void clear() noexcept {
    ring_.reset();
    bits_ = 0;
  }
  [[nodiscard]] bool empty() const noexcept { return ring_ == nullptr; }
  /// Of the heap, in bytes.
  [[nodiscard]] std::size_t memory() const noexcept;

  /// As bytes, to be kept with a snapshot: the window (u64), then 24 bytes each, oldest first.
  [[nodiscard]] std::vector<std::byte> saved(std::size_t window) const;
  enum class loading {
    whole,     ///< As if the events up to `version` had been read.
    too_short, ///< They were saved with a smaller window: some may be missing.
    malformed, ///< Nothing was added.
  };
  /// Adds what was saved.
  [[nodiscard]] loading load(std::span<const std::byte> saved, std::uint64_t version,
                             std::size_t window);

private:
  [[nodiscard]] static std::uint64_t bit_of(const command_id& id) noexcept {
    return std::uint64_t{1} << (((id.high() ^ id.low()) * 0x9e3779b97f4a7c15ULL) >> 58U);
  }

  /// In one piece with the entries behind it: doubled up to the window.
  struct ring {
    std::uint32_t size = 0;   ///< Once it is the window, the entries are a ring.
    std::uint32_t oldest = 0; ///< In the ring.
    std::uint64_t capacity = 0;

    [[nodiscard]] entry* entries() noexcept { return reinterpret_cast<entry*>(this + 1); }
  };
  struct free_ring {
    void operator()(ring* one) const noexcept { ::operator delete(one); }
  };
  using owned_ring = std::unique_ptr<ring, free_ring>;
  static_assert(sizeof(ring) % alignof(entry) == 0);

  [[nodiscard]] static owned_ring make(std::size_t capacity);

  /// That of each entry: a new id is told by it without a look at them, which are far away.
  std::uint64_t bits_ = 0;
  owned_ring ring_;
};

} // namespace acta::runtime
