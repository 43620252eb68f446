#pragma once

#include <acta/base/ids.hpp>
#include <acta/domain/aggregate.hpp>
#include <acta/runtime/receipt.hpp>

#include <array>
#include <cstddef>
#include <utility>

namespace acta::runtime::detail {

/// One command on its way: from the caller to the aggregate's actor to the committer. Owned by
/// whoever has it; ends in settle().
class envelope {
public:
  envelope(command_id id, outcome_handler&& handler) noexcept
      : id_(id), handler_(std::move(handler)) {}
  envelope(const envelope&) = delete;
  envelope& operator=(const envelope&) = delete;
  virtual ~envelope() = default;

  [[nodiscard]] const command_id& id() const noexcept { return id_; }
  [[nodiscard]] bool has_handler() const noexcept { return static_cast<bool>(handler_); }

  /// Room for what carries it through the actor's mailbox, so that a command is one allocation.
  static constexpr std::size_t carrier_size = 96;
  [[nodiscard]] void* carrier() noexcept { return carrier_.data(); }

  /// Gives the caller its outcome. Once.
  void settle(outcome&& how) noexcept { handler_(std::move(how)); }

private:
  command_id id_;
  outcome_handler handler_;
  alignas(8) std::array<std::byte, carrier_size> carrier_; // raw until it is used
};

template <domain::aggregate Aggregate>
class typed_envelope final : public envelope {
public:
  typed_envelope(typename Aggregate::command&& command, command_id id, outcome_handler&& handler)
      : envelope(id, std::move(handler)), command_(std::move(command)) {}

  [[nodiscard]] const typename Aggregate::command& command() const noexcept { return command_; }

private:
  typename Aggregate::command command_;
};

} // namespace acta::runtime::detail
