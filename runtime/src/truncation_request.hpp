#pragma once

#include <acta/base/ids.hpp>
#include <acta/runtime/detail/envelope.hpp>
#include <acta/storage/truncation.hpp>

#include <utility>

namespace acta::runtime {

/// What an aggregate's actor needs to truncate or remove its stream. Looked up before it is sent;
/// it stays true on the way, as only one is under way for a stream: see truncator.
struct truncation_order {
  bool removes = false;
  /// What the newest truncation says; without the state.
  storage::truncation earlier;
  /// Where the record goes.
  stream_id truncations;
  stream_version version; ///< Of `truncations`, after the record.
  event_type_id event;
};

/// On its way through the mailbox among the commands, told from them by how it is delivered.
class truncation_request final : public detail::request {
public:
  truncation_request(const truncation_order& order, outcome_handler&& handler) noexcept
      : order_(order), handler_(std::move(handler)) {}

  [[nodiscard]] const truncation_order& order() const noexcept { return order_; }
  void settle(outcome&& how) noexcept override { handler_(std::move(how)); }

private:
  truncation_order order_;
  outcome_handler handler_;
};

} // namespace acta::runtime
