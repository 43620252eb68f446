#include "driver.hpp"

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

constexpr auto projection_patience = std::chrono::milliseconds(100);
constexpr std::uint64_t commands_between_progress = 1'024;
/// A time is that of the first of so many commands sent at once: latencies are over, never under,
/// by the microseconds the others take.
constexpr std::uint64_t commands_between_clock_reads = 8;

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

driver::driver(const parts& given) : parts_(given), fingerprint_(given.from.fingerprint()) {}

result<void> driver::run() {
  step next;
  std::uint64_t steps = 0;
  result<void> taken;
  while (taken && !parts_.interrupted.load(std::memory_order_relaxed) && parts_.from.next(next)) {
    taken = take(next);
    if (++steps % commands_between_progress == 0)
      parts_.on_progress();
  }
  wait_for_all();
  if (tally_.failure)
    return std::unexpected(*tally_.failure);
  return taken;
}

result<void> driver::take(const step& one) {
  return std::visit(overloaded{
                      [&](const trading::limit_order::command& command) -> result<void> {
                        if (!parts_.decided.contains_order(one.key, one.record))
                          return send<trading::limit_order>(one.key, command, one.record);
                        ++left_out_;
                        return {};
                      },
                      [&](const trading::print_trade& command) -> result<void> {
                        if (!parts_.decided.contains_instrument(one.key, one.record))
                          return send<trading::instrument>(one.key, command, one.record);
                        ++left_out_;
                        return {};
                      },
                      [&](const clear_book&) { return clear(one); },
                    },
                    one.what);
}

/// What rests is known to the book alone, once it has seen everything that was sent.
result<void> driver::clear(const step& one) {
  wait_for_all();
  if (tally_.failure)
    return std::unexpected(*tally_.failure);
  const auto tail = parts_.engine.log().tail();
  for (;;) {
    auto reached = parts_.book_projector.wait_for(tail, projection_patience);
    if (reached)
      break;
    if (reached.error().code() != errc::timed_out)
      return reached;
    parts_.on_progress();
  }
  const auto instrument = static_cast<std::uint32_t>(one.key);
  const auto resting =
    parts_.book.read([&](const auto& book) { return book.resting_orders(instrument); });
  for (const auto order : resting) {
    if (parts_.decided.contains_order(order, one.record))
      continue; // it came after this record, in a run before
    auto sent = send<trading::limit_order>(
      order, trading::cancel{trading::cancel_reason::book_cleared}, one.record);
    if (!sent)
      return sent;
  }
  wait_for_all();
  return {};
}

template <class Aggregate>
result<void> driver::send(std::uint64_t key, typename Aggregate::command command,
                          std::uint64_t record) {
  const bool waited = wait_for_room();
  if (waited || sent_ % commands_between_clock_reads == 0)
    sent_at_ = std::chrono::steady_clock::now();
  auto told = parts_.engine.tell<Aggregate>(key, std::move(command),
                                            [this, sent_at = sent_at_](runtime::outcome&& end) {
                                              settle(end, sent_at);
                                              acknowledged_.settle_one();
                                            },
                                            {.id = command_id::of(fingerprint_, record)});
  if (told)
    ++sent_;
  return told;
}

/// When the window is full, waits until half of it is free: few wake-ups, and the engine stays fed.
bool driver::wait_for_room() {
  if (sent_ - seen_done_ < parts_.window)
    return false;
  seen_done_ = acknowledged_.done();
  if (sent_ - seen_done_ < parts_.window)
    return false;
  acknowledged_.wait_for(sent_ - parts_.window / 2);
  seen_done_ = acknowledged_.done();
  parts_.on_progress();
  return true;
}

void driver::wait_for_all() {
  acknowledged_.wait_for(sent_);
  seen_done_ = sent_;
}

void driver::settle(const runtime::outcome& end,
                    std::chrono::steady_clock::time_point sent_at) noexcept {
  if (end) {
    tally_.latency.record((std::chrono::steady_clock::now() - sent_at).count());
    ++tally_.accepted;
    tally_.events += end->events;
    tally_.streams += end->events != 0 && end->version.value() == end->events ? 1U : 0U;
    tally_.last = std::max(tally_.last, end->position);
  } else if (end.error().code() == errc::rejected && end.error().rejection() < tally::codes) {
    ++tally_.rejected;
    ++tally_.rejections[end.error().rejection()];
  } else {
    ++tally_.failures;
    if (!tally_.failure)
      tally_.failure = end.error();
  }
}

} // namespace acta::sim
