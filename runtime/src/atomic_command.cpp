#include "atomic_command.hpp"

#include "committer.hpp"
#include "guarded.hpp"
#include "participation.hpp"
#include "registry.hpp"
#include "staging.hpp"

#include <acta/base/clock.hpp>
#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>
#include <acta/storage/event_metadata.hpp>
#include <acta/storage/truncation.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <span>
#include <string>
#include <tuple>
#include <typeinfo>

namespace acta::runtime {

/// Makes one outcome of those of the aggregates. Each of their commands has a hold on it.
class atomic_answer {
public:
  explicit atomic_answer(std::unique_ptr<detail::atomic_request> to) : to_(std::move(to)) {
    outcome_->versions.resize(to_->parts().size());
  }

  [[nodiscard]] detail::atomic_request& request() noexcept { return *to_; }
  /// So many outcomes are to come. Before the first.
  void expect(std::size_t parts) noexcept { left_ = parts; }

  void settled(std::size_t asked, outcome&& how) noexcept {
    ensure(left_ != 0, "each part of an atomic command has one outcome");
    if (!how)
      outcome_ = std::unexpected(std::move(how.error()));
    else if (outcome_)
      add(asked, *how);
    if (--left_ == 0)
      to_->settle(std::move(outcome_));
  }

private:
  void add(std::size_t asked, const receipt& one) noexcept {
    outcome_->versions[asked] = one.version;
    outcome_->position = std::max(outcome_->position, one.position);
    outcome_->events += one.events;
    outcome_->repeat = outcome_->repeat || one.repeat;
  }

  std::unique_ptr<detail::atomic_request> to_;
  std::size_t left_ = 0;
  atomic_outcome outcome_{};
};

namespace {

/// The share of one aggregate: what is counted, intercepted and answered like any command.
class part_command final : public detail::envelope {
public:
  part_command(const command_options& with, std::shared_ptr<atomic_answer> to,
               std::size_t asked) noexcept
      : envelope(with), to_(std::move(to)), asked_(asked) {}

  [[nodiscard]] bool has_handler() const noexcept override { return true; }
  [[nodiscard]] domain::decision decide(const void*, flatbuffers::FlatBufferBuilder&,
                                        domain::event_sink&, const clock&) override {
    ensure(false, "all parts are decided together");
    return domain::accept();
  }
  void settle(outcome&& how) noexcept override { to_->settled(asked_, std::move(how)); }
  [[nodiscard]] const void* command(const std::type_info&) const noexcept override {
    return nullptr;
  }

private:
  std::shared_ptr<atomic_answer> to_;
  std::size_t asked_;
};

/// The order in which streams are held.
[[nodiscard]] bool is_before(const atomic_place& left, const atomic_place& right) noexcept {
  const auto rank = [](const stream_id& of) {
    return std::tuple(stream_hash(of), of.category(), of.kind(), of.key().size());
  };
  if (rank(left.stream) != rank(right.stream))
    return rank(left.stream) < rank(right.stream);
  const auto size = left.stream.key().size();
  return std::memcmp(left.stream.key().data(), right.stream.key().data(), size) < 0;
}

[[nodiscard]] std::string name(const atomic_place& of) {
  return of.stream.to_string(of.category->type->category());
}

/// Of a worker's thread: each part stages apart until all are decided. They keep their memory.
[[nodiscard]] staging& scratch_staging(std::size_t part) {
  thread_local std::deque<staging> all;
  while (all.size() <= part)
    all.emplace_back();
  return all[part];
}

using participations = std::deque<aggregate::participation>;

/// All records are one step: they are taken together, and one commit must be able to hold them.
[[nodiscard]] result<void> check_sizes(participations& parts) {
  std::size_t events = 0;
  std::size_t bytes = 0;
  for (auto& one : parts) {
    if (auto finished = one.finish(); !finished)
      return finished;
    events += one.emitted().size();
    for (const auto record : one.emitted())
      bytes += record.size();
  }
  if (events <= limits::max_events_per_command && bytes <= limits::max_command_size)
    return {};
  return failure(errc::too_large,
                 fmt::format("an atomic command emitted {} events, {} bytes as records, which is "
                             "over a limit ({} events, {} bytes a command); nothing was stored",
                             events, bytes, limits::max_events_per_command,
                             limits::max_command_size));
}

/// All that may fail. Nothing of any aggregate has changed.
[[nodiscard]] result<void> decide(participations& parts, std::span<const atomic_place> places,
                                  detail::atomic_request& request, const clock& now) {
  std::vector<std::optional<detail::atomic_member>> asked(parts.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (auto wanted = parts[i].check_conditions(); !wanted)
      return wanted;
    asked[places[i].asked].emplace(parts[i].member());
  }
  std::vector<detail::atomic_member> members;
  members.reserve(asked.size());
  for (const auto& one : asked)
    members.push_back(*one);
  const manual_clock stopped(now.now_ns()); // the same time for all
  flatbuffers::FlatBufferBuilder builder;
  auto decided = guarded([&] { return name(places.front()); }, "an atomic command's function",
                         [&] { return request.decide(members, builder, stopped); });
  if (!decided)
    return failure(decided);
  if (!*decided) {
    auto& why = decided->error();
    return std::unexpected(error(why.code, std::move(why.reason)));
  }
  if (auto sized = check_sizes(parts); !sized)
    return sized;
  for (auto& one : parts)
    if (auto tried = one.try_events(); !tried)
      return tried;
  return {};
}

/// Evolves all, and stages the events of one after those of the other.
[[nodiscard]] std::vector<settlement> apply(participations& parts, staging& to) {
  std::vector<settlement> ends;
  for (auto& one : parts) {
    const auto records = one.emitted();
    ends.push_back(one.apply());
    for (const auto record : records)
      std::memcpy(to.reserve(record.size()), record.data(), record.size());
  }
  return ends;
}

/// In the order of the parts. An integer key has no category yet.
[[nodiscard]] result<std::vector<atomic_place>> places_of(const core& shared,
                                                          detail::atomic_request& request) {
  std::vector<atomic_place> places;
  for (const auto& [tag, stream, expected] : request.parts()) {
    const auto category = std::ranges::find(shared.categories, tag, &category_entry::tag);
    if (category == shared.categories.end())
      return failure(errc::invalid_argument,
                     fmt::format("part {} of an atomic command, stream {}: its aggregate was not "
                                 "given to engine::open<...>",
                                 places.size() + 1, stream.to_string()));
    if (stream.category() != category_id{} && stream.category() != category->id)
      return failure(errc::invalid_argument,
                     fmt::format("part {} of an atomic command, stream {}: it is not of the "
                                 "aggregate '{}'",
                                 places.size() + 1, stream.to_string(),
                                 category->type->category()));
    places.push_back({.category = &*category,
                      .stream = storage::in_category(stream, category->id),
                      .expected = expected,
                      .asked = places.size()});
  }
  return places;
}

[[nodiscard]] result<void> check(detail::atomic_request& request,
                                 const std::vector<atomic_place>& places,
                                 const command_options& options) {
  if (places.empty() || places.size() > limits::max_aggregates_per_command)
    return failure(errc::invalid_argument,
                   fmt::format("an atomic command over {} aggregates: it takes 1 to {}",
                               places.size(), limits::max_aggregates_per_command));
  const auto twice = std::ranges::adjacent_find(
    places, [](const auto& one, const auto& other) { return one.stream == other.stream; });
  if (twice != places.end())
    return failure(errc::invalid_argument,
                   fmt::format("stream {} is named twice in one atomic command", name(*twice)));
  if (!request.has_handler())
    return failure(errc::invalid_argument, "an atomic command's outcome handler is empty");
  // Any but any() tells a new stream from one that exists, or one version from another.
  const auto& any = options.expected;
  if (!any.matches({}) || !any.matches(stream_version(1)))
    return failure(errc::invalid_argument,
                   "command_options::expected is set for an atomic command: each part has its own");
  return {};
}

} // namespace

/// Staged as what is no command. It is answered behind all that its buffer had before.
class atomic_command::signal final : public detail::request {
public:
  using step = void (atomic_command::*)();
  signal(std::shared_ptr<atomic_command> to, step what) noexcept
      : to_(std::move(to)), what_(what) {}

  /// Also where the commit failed, as what follows then fails for itself.
  void settle(outcome&&) noexcept override { ((*to_).*what_)(); }

private:
  std::shared_ptr<atomic_command> to_;
  step what_;
};

result<std::shared_ptr<atomic_command>>
atomic_command::make(core& shared, registry& actors,
                     std::unique_ptr<detail::atomic_request> request,
                     const command_options& options) {
  auto found = places_of(shared, *request);
  if (!found)
    return failure(found);
  auto& places = *found;
  std::ranges::sort(places, is_before);
  if (auto checked = check(*request, places, options); !checked)
    return failure(checked);
  std::vector<std::byte> metadata;
  if (!options.metadata.empty()) {
    auto encoded = storage::encode_metadata(options.metadata);
    if (!encoded)
      return failure(encoded);
    metadata = std::move(*encoded);
  }
  const auto answer = std::make_shared<atomic_answer>(std::move(request));
  for (auto& one : places) {
    auto of_part = options;
    of_part.expected = one.expected;
    one.command = std::make_unique<part_command>(of_part, answer, one.asked);
    one.command->set_metadata(metadata);
  }
  return std::shared_ptr<atomic_command>(
    new atomic_command(shared, actors, answer, std::move(places)));
}

atomic_command::atomic_command(core& shared, registry& actors,
                               std::shared_ptr<atomic_answer> answer,
                               std::vector<atomic_place> places)
    : core_(shared), registry_(actors), answer_(std::move(answer)), places_(std::move(places)),
      open_fences_(places_.size()) {}

void atomic_command::hold(std::size_t which) {
  const auto& place = places_[which];
  registry_.send(*place.category, place.stream,
                 std::make_unique<hold_request>(shared_from_this(), which));
}

/// Loads the aggregate here, on its own worker. Those that follow one which refuses are not held.
void atomic_command::reached(std::size_t which, aggregate& actor) {
  ensure(which == held_ && !refusal_, "aggregates are held in their order");
  auto& place = places_[which];
  place.actor = &actor;
  ++held_;
  if (auto prepared = aggregate::participation::prepare(actor, *place.command); !prepared)
    refusal_ = std::move(prepared.error());
  const bool is_last = refusal_ || held_ == places_.size();
  if (is_last) // its own fence is open, so nobody sees the last one close before this
    open_fences_.fetch_sub(places_.size() - held_, std::memory_order_acq_rel);
  core_.committer->admit_parts(1);
  const auto self = shared_from_this();
  core_.committer->staging_of(actor.stream())
    .seal(
      {.command = std::make_unique<signal>(self, &atomic_command::fence_answered), .from = &actor});
  core_.committer->wake();
  if (!is_last) // or else others have it by now
    hold(which + 1);
}

void atomic_command::fence_answered() {
  if (open_fences_.fetch_sub(1, std::memory_order_acq_rel) == 1)
    places_[held_ - 1].actor->proceed();
}

/// What was admitted is one answer; the fences were counted for themselves.
void atomic_command::run() {
  auto& last = *places_[held_ - 1].actor;
  auto& to = core_.committer->staging_of(last.stream());
  answer_->expect(held_);
  auto ends = settle_parts(to);
  ensure(ends.size() == held_, "each aggregate that is held has an outcome");
  core_.committer->admit_parts(ends.size());
  ends.push_back({.command = std::make_unique<signal>(shared_from_this(), &atomic_command::release),
                  .from = &last});
  to.seal(ends);
  core_.committer->wake();
}

std::vector<settlement> atomic_command::settle_parts(staging& to) {
  participations parts;
  for (std::size_t i = 0; i < held_; ++i)
    parts.emplace_back(*places_[i].actor, std::move(places_[i].command), scratch_staging(i));
  std::vector<settlement> ends;
  const auto fail_all = [&](const error& why) {
    for (auto& one : parts)
      ends.push_back(one.fail(why));
  };
  if (refusal_) {
    fail_all(*refusal_);
  } else if (std::ranges::any_of(parts, [](auto& one) { return one.knows_command(); })) {
    for (auto& one : parts)
      ends.push_back(one.repeat());
  } else if (auto decided = decide(parts, places_, answer_->request(), *core_.options.clock);
             !decided) {
    parts.front().report(decided.error());
    fail_all(decided.error());
  } else {
    ends = apply(parts, to);
  }
  return ends;
}

/// With the last answer of its commit, so before any of the actors could be dropped.
void atomic_command::release() {
  released_ = true;
  for (std::size_t i = 0; i < held_; ++i)
    places_[i].actor->proceed();
}

/// Who waits for room in its mailbox was woken by the commit, when this still took a place there.
void atomic_command::let_go(aggregate& actor) const noexcept {
  const auto number = actor.handled.load(std::memory_order_relaxed) + 1;
  actor.handled.store(number, std::memory_order_seq_cst); // before it looks whether somebody waits
  core_.committer->made_room();
}

bool hold_request::take_turn(aggregate& actor) {
  if (!std::exchange(reached_, true)) {
    of_->reached(which_, actor);
    return false;
  }
  if (!of_->is_released()) {
    of_->run();
    return false;
  }
  of_->let_go(actor);
  return true;
}

void hold_request::settle(outcome&&) noexcept {
  ensure(false, "what holds an actor is answered by the atomic command");
}

} // namespace acta::runtime
