#pragma once

#include <acta/base/error.hpp>
#include <acta/runtime/detail/envelope.hpp>
#include <acta/storage/event_log.hpp>

#include <functional>
#include <utility>

namespace acta::runtime {

/// What must be done with the log by the one thread that writes it, and is no append: staged as
/// the command of a settlement of kind::errand, done between two commits, and answered.
class log_errand final : public detail::request {
public:
  using work = std::move_only_function<result<void>(storage::event_log&)>;

  log_errand(work todo, outcome_handler&& handler) noexcept
      : todo_(std::move(todo)), handler_(std::move(handler)) {}

  [[nodiscard]] result<void> run(storage::event_log& log) { return todo_(log); }
  void settle(outcome&& how) noexcept override { handler_(std::move(how)); }

private:
  work todo_;
  outcome_handler handler_;
};

} // namespace acta::runtime
