#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/runtime/detail/envelope.hpp>
#include <acta/runtime/receipt.hpp>

#include <cstddef>
#include <span>
#include <string_view>

namespace acta::runtime {

/// A command on its way, as interceptors see it. Valid during the call.
class command_view {
public:
  command_view(const detail::envelope& of, const stream_id& stream,
               std::string_view category) noexcept
      : of_(of), stream_(stream), category_(category) {}

  [[nodiscard]] const stream_id& stream() const noexcept { return stream_; }
  [[nodiscard]] std::string_view category() const noexcept { return category_; }
  [[nodiscard]] const command_id& id() const noexcept { return of_.id(); }
  /// As stored with the events: storage::decode_metadata() reads it.
  [[nodiscard]] std::span<const std::byte> metadata() const noexcept { return of_.metadata(); }
  /// The command, if it is a `Command`; or else null.
  template <class Command>
  [[nodiscard]] const Command* get() const noexcept {
    return static_cast<const Command*>(of_.command(typeid(Command)));
  }

private:
  const detail::envelope& of_;
  const stream_id& stream_;
  std::string_view category_;
};

/// Stands before and behind the handling of every command of an engine: validation, authorisation,
/// tracing, metrics. An engine without any pays nothing for them.
///
/// Threads: before() is called by any of the engine's workers, after() by who answers the command,
/// at the same time for different commands. Both must be quick and not block.
///
///     struct only_staff final : runtime::interceptor {
///       result<void> before(const runtime::command_view& command) override {
///         if (command.get<refund>() != nullptr && !is_staff(command.metadata()))
///           return failure(errc::rejected, "only staff may refund");
///         return {};
///       }
///     };
class interceptor {
public:
  virtual ~interceptor() = default;

  /// Before the aggregate is loaded. An error refuses the command with it: the aggregate, and the
  /// interceptors that follow, do not see it. What it throws becomes errc::handler_failed.
  [[nodiscard]] virtual result<void> before([[maybe_unused]] const command_view& command) {
    return {};
  }
  /// Right before the caller gets the outcome; in the reverse order, of those alone whose before()
  /// was called. Must not throw.
  virtual void after([[maybe_unused]] const command_view& command,
                     [[maybe_unused]] const outcome& how) noexcept {}
};

} // namespace acta::runtime
