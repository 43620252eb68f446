#pragma once

#include "records.hpp"

#include <acta/domain/trading/limit_order.hpp>
#include <acta/storage/event_log.hpp>

#include <flatbuffers/flatbuffers.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string_view>

/// Trades at times of one's choosing, as the trading domain writes them.
namespace acta::tests {

struct made_trade {
  std::uint32_t instrument = 1;
  std::int64_t price = 0;
  std::int64_t quantity = 1;
  std::int64_t at_ns = 1'000;
  bool printed = false; ///< Without a displayed order: the stream is the instrument.
};

inline void append_trade(storage::event_log& log, const made_trade& one) {
  using namespace domain::trading;
  const auto orders = log.register_category(limit_order::category);
  const auto instruments = log.register_category(instrument::category);
  const auto executed = log.register_event_type(order_executed::GetFullyQualifiedName());
  const auto printed = log.register_event_type(trade_printed::GetFullyQualifiedName());
  ASSERT_TRUE(orders && instruments && executed && printed);
  flatbuffers::FlatBufferBuilder builder;
  if (one.printed)
    builder.Finish(Createtrade_printed(builder, one.price, one.quantity));
  else
    builder.Finish(Createorder_executed(builder, one.price, one.quantity, one.instrument));
  const std::string_view payload(reinterpret_cast<const char*>(builder.GetBufferPointer()),
                                 builder.GetSize());
  // An order of its own for each, so that versions are 1; of an instrument nobody looks.
  const auto position = log.tail().value() + 1;
  const finished_record record(
    one.printed ? stream_id(*instruments, one.instrument) : stream_id(*orders, position),
    one.printed ? position : 1, payload, 0, position, (one.printed ? *printed : *executed).value());
  const std::array records{record.bytes()};
  const auto appended = log.append(records, one.at_ns);
  ASSERT_TRUE(appended) << appended.error().message();
}

} // namespace acta::tests
