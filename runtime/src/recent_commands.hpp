#pragma once

#include <acta/base/ids.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace acta::runtime {

/// The newest commands of an aggregate that stored events, so that a repeat is recognised. The
/// first few lie in the object itself, as most aggregates of a large simulation handle no more.
class recent_commands {
public:
  /// Enough to answer a repeat.
  struct entry {
    command_id id;
    std::uint64_t version : 48; ///< After its last event.
    std::uint64_t events : 16;
  };
  static_assert(sizeof(entry) == 24, "docs/format.md");

  /// Null if it is not among them.
  [[nodiscard]] const entry* find(const command_id& id) const noexcept {
    if ((bits_ & bit_of(id)) != 0)
      for (std::size_t i = 0; i < size_; ++i)
        if (entries()[i].id == id)
          return &entries()[i];
    return nullptr;
  }

  /// Adds one in place of the oldest, if there are `window` already. `window` is always the same.
  void add(const entry& one, std::size_t window);

  void clear() noexcept {
    bits_ = 0;
    size_ = oldest_ = 0;
    many_.reset();
  }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

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
  [[nodiscard]] const entry* entries() const noexcept {
    return many_ != nullptr ? many_.get() : few_.data();
  }
  [[nodiscard]] entry* entries() noexcept { return many_ != nullptr ? many_.get() : few_.data(); }

  std::uint64_t bits_ = 0;   ///< That of each entry: a new id is told by it without a look at them.
  std::uint32_t size_ = 0;   ///< Once it is the window, the entries are a ring.
  std::uint32_t oldest_ = 0; ///< In the ring.
  std::unique_ptr<entry[]> many_; ///< Once few_ is not enough; doubled up to the window.
  std::array<entry, 4> few_{};
};

} // namespace acta::runtime
