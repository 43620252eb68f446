#pragma once

#include <acta/runtime/detail/resumption.hpp>
#include <acta/runtime/engine.hpp>

#include <coroutine>
#include <optional>
#include <type_traits>
#include <utility>

namespace acta::runtime {

/// What engine::send() returns, for `co_await` in a coroutine of any type. Sends the command when
/// it is awaited, once, and gives outcome_for<Command>: what engine::ask() gives.
///
///     auto receipt = co_await engine.send<account>(42, withdraw{70});
///
/// Errors: where the command cannot be sent (see engine::tell()) the coroutine is not suspended.
/// Otherwise it is suspended until the outcome is there. Threads: it is resumed on one of the
/// engine's workers, as one job among the actors'; of a deterministic engine in a step of its own.
/// There it may send more, and must not block: no engine::ask(), truncate(), remove(), read() or
/// stop(). So command_options::wait_for_room is not waited for: errc::overloaded comes at once; nor
/// is wait_for_outcome. Stopping: engine::stop() answers what was sent and returns when all
/// coroutines have been resumed and have ended or suspended again.
///
/// There is no cancellation: the coroutine must not be destroyed while it is suspended here. An
/// exception that leaves it while a worker runs it ends the process. Nothing is allocated but the
/// command's envelope, as for tell().
template <domain::aggregate Aggregate, domain::command_of<Aggregate> Command>
class [[nodiscard]] awaited_command {
public:
  /// By engine::send(). The engine must outlive it.
  awaited_command(engine& in, const stream_id& stream, Command&& command,
                  const command_options& options)
      : engine_(in), stream_(stream), command_(std::move(command)), options_(options) {
    options_.wait_for_room = {};
  }
  awaited_command(const awaited_command&) = delete;
  awaited_command& operator=(const awaited_command&) = delete;
  ~awaited_command() = default;

  [[nodiscard]] bool await_ready() const noexcept { return false; }

  [[nodiscard]] bool await_suspend(std::coroutine_handle<> caller) {
    resumption_.waiting = caller;
    // Once the command is sent, the coroutine may go on on another thread, and this with it.
    const auto stream = stream_;
    const auto options = options_;
    auto sent = engine_.tell<Aggregate>(
      stream, std::move(command_),
      [this](outcome_for<Command>&& how) {
        outcome_.emplace(std::move(how));
        engine_.resume(resumption_);
      },
      options);
    if (!sent)
      outcome_.emplace(failure(sent));
    return sent.has_value();
  }

  [[nodiscard]] outcome_for<Command> await_resume() { return std::move(*outcome_); }

private:
  engine& engine_;
  stream_id stream_;
  Command command_;
  command_options options_;
  std::optional<outcome_for<Command>> outcome_; ///< Written by who answers, before the job is.
  detail::resumption resumption_;
};

} // namespace acta::runtime
