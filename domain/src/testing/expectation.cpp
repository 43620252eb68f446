#include <acta/domain/testing/expectation.hpp>

#include <fmt/format.h>

#include <ostream>
#include <sstream>
#include <utility>

namespace acta::domain::testing {

namespace {

/// A line each, below what leads to them.
[[nodiscard]] std::string text_of(const std::vector<any_event>& events) {
  if (events.empty())
    return "accepted, without an event";
  std::string text = "accepted:";
  for (const auto& one : events)
    text += "\n      " + one.text();
  return text;
}

[[nodiscard]] std::string text_of(const answer& of) {
  if (of.rejection)
    return fmt::format("rejected with {}: {}", of.rejection->code, of.rejection->reason);
  auto text = text_of(of.events);
  for (const auto& [id, due_ns] : of.timers)
    text += due_ns == 0 ? fmt::format("\n      timer {} cancelled", id.value())
                        : fmt::format("\n      timer {} set to {}", id.value(), due_ns);
  std::ostringstream reply;
  reply << of.reply;
  return text + reply.str();
}

[[nodiscard]] bool same(const answer& one, const answer& other) {
  if (one.rejection && other.rejection)
    return one.rejection->code == other.rejection->code
           && one.rejection->reason == other.rejection->reason;
  return !one.rejection && !other.rejection && one.events == other.events
         && one.timers == other.timers && one.reply == other.reply;
}

} // namespace

expectation accepted(std::vector<any_event> events) {
  return {.events = std::move(events), .code = {}, .code_name = {}};
}

std::ostream& operator<<(std::ostream& out, const expectation& expected) {
  if (!expected.code)
    return out << text_of(expected.events);
  out << "rejected with " << *expected.code;
  return expected.code_name.empty() ? out : out << ": " << expected.code_name;
}

bool answer::operator==(const expectation& expected) const {
  if (!problems.empty())
    return false;
  if (rejection || expected.code)
    return rejection && rejection->code == expected.code;
  return events == expected.events;
}

std::ostream& operator<<(std::ostream& out, const answer& of) {
  out << text_of(of);
  for (const auto& problem : of.problems)
    out << "\n      problem: " << problem;
  return out;
}

void answer::expect_again(const answer& again, const char* when) {
  if (!same(*this, again))
    problems.push_back(fmt::format("decide() answers otherwise when {}: {}", when, text_of(again)));
}

} // namespace acta::domain::testing
