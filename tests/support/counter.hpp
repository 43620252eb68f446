#pragma once

#include <acta/domain/aggregate.hpp>

#include <support/counter_generated.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <variant>

/// An aggregate with snapshots, for tests.
namespace acta::tests {

/// Emits so many events.
struct add {
  std::int64_t amount = 1;
  int times = 1;
};
/// Refused, with the sum as the code.
struct tell_sum {};

struct counter {
  static constexpr std::string_view category = "counter";
  /// At these sums save() and load() throw, and at these the snapshot is large and too large.
  static constexpr std::int64_t unsaveable = 6'000;
  static constexpr std::int64_t unloadable = 7'000;
  static constexpr std::int64_t large = 8'000;
  static constexpr std::int64_t too_large = 9'000;

  struct state {
    std::int64_t sum = 0;
  };
  using command = std::variant<add, tell_sum>;
  using events = domain::event_list<added>;
  using out = domain::emitter<counter>;

  static domain::decision decide(const state&, const add& c, out& events) {
    for (int i = 0; i < c.times; ++i)
      events.emit<added>([&](auto& builder) { return Createadded(builder, c.amount); });
    return domain::accept();
  }
  static domain::decision decide(const state& now, const tell_sum&, out&) {
    return std::unexpected(domain::rejection{static_cast<std::uint16_t>(now.sum), "the sum"});
  }
  static void evolve(state& now, const added& e) noexcept { now.sum += e.amount(); }
  /// Often, though not for long: the engine drops and loads it over and over.
  static bool closed(const state& now) noexcept { return now.sum % 2 == 0; }

  using snapshot = counter_state;
  static flatbuffers::Offset<snapshot> save(const state& now,
                                            flatbuffers::FlatBufferBuilder& builder) {
    if (now.sum == unsaveable)
      throw std::runtime_error("told to fail");
    std::uint8_t* bytes = nullptr;
    const std::size_t size = now.sum == too_large ? limits::max_snapshot_size
                             : now.sum == large   ? limits::max_snapshots_waiting / 2
                                                  : 10;
    const auto ballast = builder.CreateUninitializedVector<std::uint8_t>(size, &bytes);
    std::memset(bytes, 0, size);
    return Createcounter_state(builder, now.sum, ballast);
  }
  static state load(const snapshot& saved) {
    if (saved.sum() == unloadable)
      throw std::runtime_error("told to fail");
    return {saved.sum()};
  }
};

} // namespace acta::tests
