#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace acta::inline base {

/// What went wrong. The numbers are pinned: they are printed, logged and sent over wires, so a
/// number is never given a second meaning.
enum class errc : std::uint16_t {
  invalid_argument = 1,   ///< The caller passed something unusable; the message names it.
  not_found = 2,          ///< A file, directory or record that must be there is not.
  io = 3,                 ///< The operating system refused a read, write or sync.
  no_space = 4,           ///< The device or quota is full. Free space, then reopen.
  store_in_use = 5,       ///< Another writer holds the store; the message names it.
  foreign_store = 6,      ///< The directory or file is not an Acta store.
  newer_format = 7,       ///< The store was written by a newer Acta.
  corrupt = 8,            ///< A record or page failed its check; the message has the position.
  map_full = 9,           ///< The store reached its map size; reopen with a larger one.
  too_large = 10,         ///< A key, record or command is over a limit of limits.hpp.
  overloaded = 11,        ///< A bounded queue is full; nothing happened, try again later.
  rejected = 12,          ///< The aggregate refused the command; see error::rejection().
  handler_failed = 13,    ///< decide() threw; nothing was stored.
  commit_failed = 14,     ///< The commit failed: no receipt. Reopen, and send the command again.
  engine_stopped = 15,    ///< The engine is stopping or stopped; nothing happened.
  timed_out = 16,         ///< The time limit passed; the outcome is not known to the caller.
  malformed = 17,         ///< Input text that does not parse; the message has file and line.
  permission_denied = 18, ///< Not allowed to read or write the named file.
  wrong_version = 19,     ///< A stream is not at the version expected; the message has both.
  /// Program and stored events do not fit; the message names event type, and table and field.
  incompatible_schema = 20,
  expired = 21, ///< The command's deadline passed before it was decided; nothing happened.
};

/// The name of a code as written above, e.g. "store_in_use".
[[nodiscard]] std::string_view name(errc code) noexcept;

/// An operating error: a pinned code, and a message that names the thing (file, stream, position),
/// says what is wrong and what to do. A plain value; safe to copy between threads.
class error {
public:
  error(errc code, std::string message) : code_(code), message_(std::move(message)) {}

  /// A refusal by an aggregate: `rejection` is the domain's own pinned code.
  error(std::uint16_t rejection, std::string message)
      : code_(errc::rejected), rejection_(rejection), message_(std::move(message)) {}

  [[nodiscard]] errc code() const noexcept { return code_; }
  /// The domain's rejection code; 0 unless code() is errc::rejected.
  [[nodiscard]] std::uint16_t rejection() const noexcept { return rejection_; }
  [[nodiscard]] const std::string& message() const noexcept { return message_; }

private:
  errc code_;
  std::uint16_t rejection_ = 0;
  std::string message_;
};

/// A value, or the error that kept it from being made.
template <class T>
using result = std::expected<T, error>;

/// Shorthand for returning an error from a function that returns result<T>.
[[nodiscard]] inline std::unexpected<error> failure(errc code, std::string message) {
  return std::unexpected<error>(std::in_place, code, std::move(message));
}

/// Hands an error on: `if (!opened) return failure(opened);`
template <class T>
[[nodiscard]] std::unexpected<error> failure(result<T>& failed) {
  return std::unexpected<error>(std::move(failed.error()));
}

} // namespace acta::inline base
