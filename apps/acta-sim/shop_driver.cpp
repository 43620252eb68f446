#include "shop_driver.hpp"

#include <fmt/format.h>

namespace acta::sim {

static constexpr std::size_t commands_between_progress = 1'024;

shop_driver::shop_driver(const parts& given)
    : parts_(given), sender_({.engine = given.engine,
                              .fingerprint = given.feed.fingerprint,
                              .window = given.window,
                              .on_progress = given.on_progress}),
      refusals_(given.feed.orders.size()) {}

double shop_driver::progress() const noexcept {
  const auto steps = parts_.feed.steps.size();
  return steps == 0 ? 1 : static_cast<double>(at_) / static_cast<double>(steps);
}

result<void> shop_driver::run() {
  result<void> taken;
  for (; taken && at_ < parts_.feed.steps.size()
         && !parts_.interrupted.load(std::memory_order_relaxed);
       ++at_) {
    const auto& one = parts_.feed.steps[at_];
    if (parts_.before.has_decided(parts_.feed.orders[one.order], one.record))
      ++left_out_;
    else
      taken = send(one);
    if (at_ % commands_between_progress == 0)
      parts_.on_progress();
  }
  sender_.wait_for_all();
  if (auto sound = sender_.status(); !sound)
    return sound;
  return taken;
}

void shop_driver::move_clock_to(const shop_step& one) {
  const auto now = parts_.clock.now_ns();
  if (one.at_ns > now || std::holds_alternative<orders::place>(one.what))
    sender_.wait_for_all();
  if (one.at_ns > now)
    parts_.clock.advance_ns(one.at_ns - now);
}

result<void> shop_driver::send(const shop_step& one) {
  const auto& name = parts_.feed.orders[one.order];
  const auto stream = stream_id::from_text(parts_.engine.category<orders::order>(), name);
  if (!stream)
    return failure(errc::invalid_argument, fmt::format("order '{}' cannot name a stream", name));
  move_clock_to(one);
  const auto noted = [this, order = one.order, command = one.what.index()](
                       const runtime::outcome& end) { note(order, command, end); };
  return sender_.send<orders::order>(*stream, one.what, one.record, noted);
}

void shop_driver::note(std::size_t order, std::size_t command,
                       const runtime::outcome& end) noexcept {
  const std::uint16_t code = end ? 0 : end.error().rejection();
  if (!end && (code == 0 || code >= tally::codes))
    return; // the run fails
  ++outcomes_[command][code];
  if (command == 0)
    refusals_[order] = code;
}

} // namespace acta::sim
