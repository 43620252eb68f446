#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <utility>

namespace acta::projections {

/// Two copies of a value, so that readers never wait: while the writer changes one, they read the
/// other.
///
/// Why it holds: a reader announces himself at one of two doors, and then reads the copy that
/// `published_` names at that moment. The writer changes the copy that is not published, publishes
/// it, and may touch the other only when nobody reads it any more. Readers that came before through
/// either door may still have seen the old name: so the writer waits until the door that is not in
/// use is empty (those of the turn before), sends newcomers there, and waits until the other is
/// empty too. Whoever comes after sees the new name: announcing, publishing and the counts are
/// seq_cst, so either the writer sees the announcement, or the reader the new name.
/// Source: P. Ramalhete, A. Correia, "Left-Right: A Concurrency Control Technique with Wait-Free
/// Population Oblivious Reads" (2013).
///
/// Threads: read() from any, wait-free; the others from one writer at a time, who waits for
/// readers that are under way.
template <class Value>
class left_right {
public:
  explicit left_right(const Value& initial) : copies_{initial, initial} {}
  left_right(const left_right&) = delete;
  left_right& operator=(const left_right&) = delete;

  /// Calls `look` with the newest value; what it returns must not point into that.
  template <class Look>
  decltype(auto) read(Look&& look) const {
    const visit here(doors_[door_.load(std::memory_order_seq_cst)]);
    return std::forward<Look>(look)(
      std::as_const(copies_[published_.load(std::memory_order_seq_cst)]));
  }

  /// What is published, for the writer.
  [[nodiscard]] const Value& published() const noexcept {
    return copies_[published_.load(std::memory_order_relaxed)];
  }
  /// The copy that nobody reads: equal to what is published, until the writer changes it.
  [[nodiscard]] Value& spare() noexcept {
    return copies_[1 - published_.load(std::memory_order_relaxed)];
  }
  /// Publishes the spare copy; when this returns the other one is the spare, and behind.
  void publish() noexcept {
    published_.store(1 - published_.load(std::memory_order_relaxed), std::memory_order_seq_cst);
    const auto before = door_.load(std::memory_order_relaxed);
    wait_until_empty(doors_[1 - before]);
    door_.store(1 - before, std::memory_order_seq_cst);
    wait_until_empty(doors_[before]);
  }

private:
  /// Readers count themselves in one of these, by their thread, so that they do not all write to
  /// one cache line.
  static constexpr std::size_t lanes = 8;
  struct alignas(64) lane {
    std::atomic<std::int64_t> inside{0};
  };
  using door = std::array<lane, lanes>;

  class visit {
  public:
    explicit visit(door& in) noexcept : in_(in[own_lane()]) {
      in_.inside.fetch_add(1, std::memory_order_seq_cst);
    }
    ~visit() { in_.inside.fetch_sub(1, std::memory_order_release); }
    visit(const visit&) = delete;
    visit& operator=(const visit&) = delete;

  private:
    lane& in_;
  };

  [[nodiscard]] static std::size_t own_lane() noexcept {
    static std::atomic<std::size_t> threads{0};
    thread_local const std::size_t mine = threads.fetch_add(1, std::memory_order_relaxed) % lanes;
    return mine;
  }

  /// Readers are quick: whoever waits for one lets others have the core meanwhile.
  static void wait_until_empty(const door& of) noexcept {
    for (const auto& one : of)
      while (one.inside.load(std::memory_order_seq_cst) != 0)
        std::this_thread::yield();
  }

  std::array<Value, 2> copies_;
  std::atomic<std::size_t> published_{0};
  std::atomic<std::size_t> door_{0};
  mutable std::array<door, 2> doors_;
};

} // namespace acta::projections
