#pragma once

#include <acta/base/ids.hpp>
#include <acta/domain/aggregate.hpp>
#include <acta/domain/testing/any_event.hpp>
#include <acta/domain/testing/any_reply.hpp>

#include <cstdint>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

/// What the test kit of testing.hpp compares: what an aggregate answered, and what was expected.
namespace acta::domain::testing {

/// What an outcome is compared with: see accepted() and rejected().
struct expectation {
  std::vector<any_event> events;     ///< Exactly these, if it is to be accepted.
  std::optional<std::uint16_t> code; ///< The rejection's, if it is to be rejected.
  std::string code_name;             ///< For people; may be empty.

  friend std::ostream& operator<<(std::ostream& out, const expectation& expected);
};

/// Accepted with exactly these events, in this order; with none, nothing happened.
template <class... Events>
[[nodiscard]] expectation accepted(const event_of<Events>&... events) {
  return {.events = {events...}, .code = {}, .code_name = {}};
}
[[nodiscard]] expectation accepted(std::vector<any_event> events);

/// Rejected with this code of the domain's. Its name is printed where there is name(Code).
template <class Code>
  requires std::is_enum_v<Code>
[[nodiscard]] expectation rejected(Code code) {
  expectation made{.events = {}, .code = static_cast<std::uint16_t>(code), .code_name = {}};
  if constexpr (requires { std::string(name(code)); })
    made.code_name = std::string(name(code));
  return made;
}

/// What an aggregate answered to a command, and what was found wrong with the aggregate then.
struct answer {
  std::vector<any_event> events; ///< None if the command was rejected.
  std::optional<domain::rejection> rejection;
  any_reply reply{};                         ///< If it was accepted and the command has one.
  std::vector<std::string> problems{};       ///< A sentence each.
  std::map<timer_id, std::int64_t> timers{}; ///< Those set, with their times, or cancelled: 0.

  /// False while there are problems.
  bool operator==(const expectation& expected) const;
  friend std::ostream& operator<<(std::ostream& out, const answer& of);

  /// Notes a problem if the aggregate answered otherwise `when` it was asked again.
  void expect_again(const answer& again, const char* when);
};

} // namespace acta::domain::testing
