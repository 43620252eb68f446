#include <acta/domain/orders/refund.hpp>

#include "refuse.hpp"

namespace acta::domain::orders {

decision refund::decide(const state& now, const request_refund& command, out& events) {
  if (now.status != status::none)
    return refuse(refusal::refund_already_requested, "of {} cents", now.amount);
  if (command.amount <= 0 || command.amount > max_total)
    return refuse(refusal::invalid_refund, "{} cents are not from 1 to {}", command.amount,
                  max_total);
  if (auto sound = check_text(command.reason, refusal::invalid_reason, "a reason"); !sound)
    return sound;
  events.emit<refund_requested>([&](flatbuffers::FlatBufferBuilder& builder) {
    const auto reason = builder.CreateString(command.reason);
    return Createrefund_requested(builder, command.amount, reason);
  });
  return accept();
}

decision refund::decide(const state& now, const confirm_refund& command, out& events) {
  if (now.status == status::none)
    return refuse(refusal::refund_not_found, "it was never requested");
  if (now.status == status::confirmed)
    return refuse(refusal::refund_already_confirmed, "{} cents went back", now.amount);
  if (auto sound = check_text(command.reference, refusal::invalid_reference, "a reference"); !sound)
    return sound;
  events.emit<refund_confirmed>([&](flatbuffers::FlatBufferBuilder& builder) {
    const auto reference = builder.CreateString(command.reference);
    return Createrefund_confirmed(builder, now.amount, reference);
  });
  return accept();
}

void refund::evolve(state& now, const refund_requested& event) noexcept {
  now = {.amount = event.amount(), .status = status::requested};
}

void refund::evolve(state& now, const refund_confirmed&) noexcept {
  now.status = status::confirmed;
}

} // namespace acta::domain::orders
