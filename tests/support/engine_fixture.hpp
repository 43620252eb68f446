#pragma once

#include <acta/domain/trading/limit_order.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/faulty_log.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace acta::tests {

[[nodiscard]] inline domain::trading::submit buy(std::int64_t quantity, std::int64_t price = 100) {
  return {
    .instrument = 1, .side = domain::trading::side::buy, .price = price, .quantity = quantity};
}

/// An engine of orders and instruments over a log in memory, whose appends can be held and failed.
class engine_fixture : public testing::Test {
protected:
  std::unique_ptr<runtime::engine> open(const runtime::engine_options& options = {}) {
    auto opened = runtime::engine::open<domain::trading::limit_order, domain::trading::instrument>(
      storage::make_faulty_log(log, faults_), options);
    EXPECT_TRUE(opened.has_value()) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
  }

  std::vector<storage::record_header> headers() const {
    std::vector<storage::record_header> all;
    auto snapshot = log->snapshot();
    auto cursor = (*snapshot)->scan(log_position(1));
    for (;;) {
      auto records = (*cursor)->next();
      EXPECT_TRUE(records.has_value());
      if (!records || records->empty())
        return all;
      for (const auto& record : *records) {
        EXPECT_EQ(record.position().value(), all.size() + 1);
        EXPECT_TRUE(record.verify().has_value());
        all.push_back(record.header());
      }
    }
  }

  std::shared_ptr<storage::event_log> log = storage::make_memory_log();
  std::shared_ptr<storage::log_faults> faults_ = std::make_shared<storage::log_faults>();
};

} // namespace acta::tests
