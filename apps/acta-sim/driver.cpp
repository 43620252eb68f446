#include "driver.hpp"

#include "run.hpp"

#include <fmt/format.h>

#include <string_view>
#include <utility>
#include <variant>

namespace acta::sim {

namespace {

template <class... Functions>
struct overloaded : Functions... {
  using Functions::operator()...;
};

constexpr std::uint64_t commands_between_progress = 1'024;

[[nodiscard]] category_id find_category(const storage::event_log& log, std::string_view name) {
  for (category_id id(1); !log.category_name(id).empty(); id = id.next())
    if (log.category_name(id) == name)
      return id;
  return {};
}

} // namespace

result<decided_commands> decided_commands::read(const storage::event_log& log,
                                                std::uint64_t fingerprint) {
  decided_commands decided;
  if (log.tail() == log_position(0))
    return decided;
  const auto orders = find_category(log, trading::limit_order::category);
  const auto instruments = find_category(log, trading::instrument::category);
  auto snapshot = log.snapshot();
  if (!snapshot)
    return failure(snapshot);
  auto cursor = (*snapshot)->scan(log_position(1));
  if (!cursor)
    return failure(cursor);
  for (;;) {
    const auto records = (*cursor)->next();
    if (!records)
      return std::unexpected(records.error());
    if (records->empty())
      return decided;
    for (const auto& record : *records) {
      const auto& header = record.header();
      if (header.command.high() != fingerprint)
        continue;
      if (header.category == orders.value())
        decided.orders_[record.integer_key()] = header.command.low();
      else if (header.category == instruments.value())
        decided.instruments_[record.integer_key()] = header.command.low();
    }
  }
}

driver::driver(const parts& given)
    : parts_(given), sender_({.engine = given.engine,
                              .fingerprint = given.from.fingerprint(),
                              .window = given.window,
                              .on_progress = given.on_progress}) {}

result<void> driver::run() {
  step next;
  std::uint64_t steps = 0;
  result<void> taken;
  while (taken && !parts_.interrupted.load(std::memory_order_relaxed) && parts_.from.next(next)) {
    taken = take(next);
    if (++steps % commands_between_progress == 0)
      parts_.on_progress();
  }
  sender_.wait_for_all();
  if (auto sound = sender_.status(); !sound)
    return sound;
  return taken;
}

result<void> driver::take(const step& one) {
  return std::visit(overloaded{
                      [&](const trading::limit_order::command& command) -> result<void> {
                        if (!parts_.decided.contains_order(one.key, one.record))
                          return sender_.send<trading::limit_order>(one.key, command, one.record);
                        ++left_out_;
                        return {};
                      },
                      [&](const trading::print_trade& command) -> result<void> {
                        if (!parts_.decided.contains_instrument(one.key, one.record))
                          return sender_.send<trading::instrument>(one.key, command, one.record);
                        ++left_out_;
                        return {};
                      },
                      [&](const clear_book&) { return clear(one); },
                    },
                    one.what);
}

/// What rests is known to the book alone, once it has seen everything that was sent.
result<void> driver::clear(const step& one) {
  sender_.wait_for_all();
  if (auto sound = sender_.status(); !sound)
    return sound;
  auto there = catch_up(parts_.book_projector, parts_.engine.log().tail(), parts_.on_progress);
  if (!there)
    return there;
  const auto instrument = static_cast<std::uint32_t>(one.key);
  const auto resting =
    parts_.book.read([&](const auto& book) { return book.resting_orders(instrument); });
  for (const auto order : resting) {
    if (parts_.decided.contains_order(order, one.record))
      continue; // it came after this record, in a run before
    auto sent = sender_.send<trading::limit_order>(
      order, trading::cancel{trading::cancel_reason::book_cleared}, one.record);
    if (!sent)
      return sent;
  }
  sender_.wait_for_all();
  return {};
}

} // namespace acta::sim
