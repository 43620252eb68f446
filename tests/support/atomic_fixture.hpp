#pragma once

#include "counter.hpp"
#include "wallet.hpp"

#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/faulty_log.hpp>
#include <acta/storage/snapshot_store.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <utility>

namespace acta::tests {

inline constexpr std::uint16_t too_little = 7;

inline void add_to(auto& one, std::int64_t amount) {
  one.template emit<added>([&](auto& b) { return Createadded(b, amount); });
}

[[nodiscard]] inline domain::decision refuse() {
  return std::unexpected(domain::rejection{too_little, "there is not so much in it"});
}

/// Moves an amount from one to the other, if it is there.
[[nodiscard]] inline auto moving(std::int64_t amount) {
  return [amount](runtime::participant<counter>& from,
                  runtime::participant<counter>& to) -> domain::decision {
    if (from.state().sum < amount)
      return refuse();
    add_to(to, amount); // not in the order of the parts
    add_to(from, -amount);
    return domain::accept();
  };
}

/// An engine of counters and wallets over a log in memory.
class atomic_fixture : public testing::Test {
protected:
  std::unique_ptr<runtime::engine> open(runtime::engine_options options = {}) {
    options.snapshots = snapshots_;
    auto opened =
      runtime::engine::open<counter, wallet>(storage::make_faulty_log(log, faults_), options);
    EXPECT_TRUE(opened.has_value()) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
  }

  /// The sum of a counter, as it is told.
  [[nodiscard]] static std::int64_t sum(runtime::engine& of, std::uint64_t key) {
    const auto told = of.ask<counter>(key, tell_sum{});
    EXPECT_FALSE(told.has_value());
    return told.error().rejection();
  }

  std::shared_ptr<storage::event_log> log = storage::make_memory_log();
  std::shared_ptr<storage::log_faults> faults_ = std::make_shared<storage::log_faults>();
  std::shared_ptr<storage::snapshot_store> snapshots_ = std::move(*storage::open_snapshots(*log));
};

} // namespace acta::tests
