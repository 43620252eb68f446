#pragma once

#include "aggregate.hpp"
#include "aggregate_sink.hpp"
#include "settlement.hpp"
#include "staging.hpp"

#include <acta/base/error.hpp>
#include <acta/runtime/detail/atomic_request.hpp>
#include <acta/runtime/detail/envelope.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace acta::runtime {

/// One aggregate while an atomic command is decided, by the worker that holds the last one: its
/// own worker keeps off it meanwhile. In the order of the functions: nothing of the aggregate
/// changes before apply(), and nothing can fail from there on.
class aggregate::participation {
public:
  /// `to` is for its events, apart from those of others until all are decided.
  participation(aggregate& of, std::unique_ptr<detail::envelope> command, staging& to);
  participation(const participation&) = delete;
  participation& operator=(const participation&) = delete;
  ~participation() { to_.discard(); }

  /// On the aggregate's own worker, in the command's turn: what comes before decide().
  [[nodiscard]] static result<void> prepare(aggregate& of, detail::envelope& command) {
    return of.prepare(command);
  }

  [[nodiscard]] bool knows_command() const noexcept {
    return of_.find_repeated(*command_) != nullptr;
  }
  [[nodiscard]] result<void> check_conditions() const { return of_.check_conditions(*command_); }
  /// For the user's function, and valid as long as this is.
  [[nodiscard]] detail::atomic_member member() noexcept;
  /// After the function: checks what was emitted, and stages the timers that were set behind it.
  [[nodiscard]] result<void> finish();
  /// What was emitted, as records.
  [[nodiscard]] std::span<const std::span<std::byte>> emitted() const noexcept;
  /// Where evolve() may throw, tries it on a copy of the state.
  [[nodiscard]] result<void> try_events();
  /// Evolves. The records are ready to be stored from here on.
  [[nodiscard]] settlement apply();

  /// Instead of all this.
  [[nodiscard]] settlement repeat();
  [[nodiscard]] settlement fail(const error& why);

  void report(const error& why) const;

private:
  [[nodiscard]] settlement ended(settlement&& end);

  aggregate& of_;
  std::unique_ptr<detail::envelope> command_;
  staging& to_;
  stream_id stream_;
  std::vector<detail::verified_event> events_;
  std::vector<timer_setting> timers_;
  sink sink_;
  std::shared_ptr<void> tried_;
};

} // namespace acta::runtime
