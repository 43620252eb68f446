#include <acta/runtime/process_manager.hpp>

#include "process_runner.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <span>
#include <string>
#include <utility>

namespace acta::runtime {

command_id process_command_id(std::string_view manager, log_position position,
                              std::uint32_t index) noexcept {
  constexpr unsigned index_bits = 24;
  static_assert(limits::max_commands_per_seen_event == std::size_t{1} << index_bits
                && limits::max_position >> (64U - index_bits) == 0);
  ensure(index < limits::max_commands_per_seen_event, "an event has no more commands");
  const auto high = stream_hash(category_id(), key_kind::text, std::as_bytes(std::span(manager)));
  return command_id::of(high, position.value() << index_bits | index);
}

command_id event_id(log_position position) noexcept {
  std::uint64_t name = 0;
  static_assert(sizeof "acta.evt" - 1 == sizeof name);
  std::memcpy(&name, "acta.evt", sizeof name);
  return command_id::of(name, position.value());
}

class process_manager::implementation final : public process_runner {
public:
  using process_runner::process_runner;
};

namespace {

[[nodiscard]] result<void> check(const engine& on, const detail::process_type& type,
                                 const process_options& options) {
  const auto wrong = [&](std::string_view what) {
    return failure(errc::invalid_argument,
                   fmt::format("process manager '{}': {}", type.name(), what));
  };
  if (on.category<process_journal>() == category_id())
    return wrong("give runtime::process_journal to engine::open<...>, which keeps its progress");
  if (!stream_id::from_text(on.category<process_journal>(), type.name()))
    return wrong(fmt::format("its name is to have 1 to {} bytes", limits::max_key_size));
  if (options.max_under_way == 0 || options.note_every == 0)
    return wrong("process_options has a 0: it would never send, or note, anything");
  if (options.silent_until > on.log().tail())
    return wrong("process_options::silent_until is behind the log's end");
  if (const auto missing = type.missing_target(on); !missing.empty())
    return wrong(fmt::format("give its target, the aggregate '{}', to engine::open<...>", missing));
  return {};
}

/// What it has noted. Of a manager that is new, where it begins, before anything else: what is
/// archived from then on is not to be passed over as if it had never been there.
[[nodiscard]] result<process_progress> progress_of(engine& on, std::string_view name,
                                                   log_position silent_until, log_position first) {
  constexpr command_options patient{.wait_for_room = std::chrono::seconds(10)};
  const auto journal = *stream_id::from_text(on.category<process_journal>(), name);
  auto read = on.ask<process_journal>(journal, read_process_progress{}, patient);
  if (!read)
    return failure(read);
  ensure(read->reply.has_value(), "what is no repeat has a reply");
  auto progress = std::move(*read->reply);
  const bool is_new = progress == process_progress();
  if (progress.from == 0)
    progress.from = is_new ? first.value() : 1;
  if (log_position(progress.from) < first)
    return failure(errc::not_found,
                   fmt::format("process manager '{}': it goes on from position {}, which was "
                               "archived: the log begins at {}. Open a backup from before that, or "
                               "let it begin there as a new one: remove its journal, {}",
                               name, progress.from, first.value(),
                               journal.to_string(process_journal::category)));
  if (!is_new)
    return progress;
  progress.settled = std::max(silent_until.value(), first.value() - 1);
  auto noted =
    on.ask<process_journal>(journal, settle_process{progress.settled, progress.from}, patient);
  if (!noted)
    return failure(noted);
  return progress;
}

} // namespace

process_manager::process_manager(std::unique_ptr<implementation> made) noexcept
    : implementation_(std::move(made)) {}

process_manager::~process_manager() = default;

result<std::unique_ptr<process_manager>>
process_manager::start(engine& on, std::unique_ptr<detail::process_type> type,
                       const process_options& options) {
  if (auto checked = check(on, *type, options); !checked)
    return failure(checked);
  auto snapshot = on.log().snapshot();
  if (!snapshot)
    return failure(snapshot);
  auto progress = progress_of(on, type->name(), options.silent_until, (*snapshot)->first());
  if (!progress)
    return failure(progress);
  if (auto now = (*snapshot)->refresh(); !now) // it is to have all that was sent before
    return failure(now);
  auto made = std::make_unique<implementation>(on, std::move(type), options, std::move(*progress),
                                               std::move(*snapshot));
  if (auto checked = made->check(); !checked)
    return failure(checked);
  made->start();
  return std::unique_ptr<process_manager>(new process_manager(std::move(made)));
}

log_position process_manager::position() const noexcept {
  return implementation_->position();
}

result<void> process_manager::status() const {
  return implementation_->status();
}

result<void> process_manager::wait_for(log_position position,
                                       std::chrono::nanoseconds at_most) const {
  return implementation_->wait_for(position, at_most);
}

} // namespace acta::runtime
