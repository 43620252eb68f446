#include <acta/storage/stream_writer.hpp>

#include "retention.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>
#include <acta/storage/record.hpp>

#include <fmt/format.h>

#include <string>
#include <unordered_set>
#include <utility>

namespace acta::storage {

namespace {

/// Refuses what could not be stored or read again.
class step_check {
public:
  step_check(const event_log& log, std::span<const stream_append> step) : log_(log), step_(step) {}

  [[nodiscard]] result<void> operator()() {
    std::unordered_set<stream_id, hash_of> named;
    for (const auto& part : step_) {
      if (!named.insert(part.stream).second)
        return refuse(errc::invalid_argument, part,
                      "it is named twice in one step; put its events together");
      if (log_.category_name(part.stream.category()).empty())
        return refuse(errc::invalid_argument, part, "its category has no name: register it");
      if (log_.category_name(part.stream.category()).starts_with(retention_prefix))
        return refuse(errc::invalid_argument, part,
                      "it has the truncations of another: see stream_writer::truncate()");
      if (part.events.size() > limits::max_events_per_command)
        return refuse(errc::too_large, part,
                      fmt::format("{} events in one step, {} at most", part.events.size(),
                                  limits::max_events_per_command));
      for (const auto& event : part.events)
        if (auto sound = check(part, event); !sound)
          return sound;
    }
    return {};
  }

private:
  struct hash_of {
    std::size_t operator()(const stream_id& of) const noexcept { return stream_hash(of); }
  };

  [[nodiscard]] result<void> check(const stream_append& part, const new_event& event) {
    if (log_.event_type_name(event.type).empty())
      return refuse(errc::invalid_argument, part,
                    fmt::format("event type {} has no name: register it", event.type.value()));
    if (event.payload.size() > limits::max_payload_size)
      return refuse(errc::too_large, part,
                    fmt::format("an event of {} bytes, {} at most", event.payload.size(),
                                limits::max_payload_size));
    if (event.metadata.size() > limits::max_metadata_size)
      return refuse(errc::too_large, part,
                    fmt::format("metadata of {} bytes, {} at most", event.metadata.size(),
                                limits::max_metadata_size));
    bytes_ += record_size({.stream = part.stream,
                           .version = {},
                           .command = {},
                           .event_type = event.type,
                           .metadata = event.metadata,
                           .payload = event.payload});
    if (bytes_ > limits::max_command_size)
      return refuse(errc::too_large, part,
                    fmt::format("the step has more than {} bytes", limits::max_command_size));
    return {};
  }

  [[nodiscard]] std::unexpected<error> refuse(errc code, const stream_append& part,
                                              const std::string& what) const {
    return failure(
      code, fmt::format("stream {}: {}; nothing was stored",
                        part.stream.to_string(log_.category_name(part.stream.category())), what));
  }

  const event_log& log_;
  std::span<const stream_append> step_;
  std::size_t bytes_ = 0; ///< Of all records so far.
};

/// The records of a step, in one piece of memory.
class encoded_step {
public:
  encoded_step(std::span<const stream_append> step, std::span<const stream_version> versions,
               const command_id& command) {
    std::size_t size = 0;
    each_event(step, versions, command,
               [&](const record_fields& fields, std::size_t) { size += record_size(fields); });
    words_.resize(size / sizeof(std::uint64_t));
    auto* to = reinterpret_cast<std::byte*>(words_.data());
    each_event(step, versions, command, [&](const record_fields& fields, std::size_t remaining) {
      encode_record(fields, to);
      set_remaining(to, static_cast<std::uint16_t>(remaining));
      records_.emplace_back(to, record_size(fields));
      to += record_size(fields);
    });
    ensure(std::as_bytes(std::span(words_)).size() == size && records_.empty() == (size == 0),
           "a step takes the memory that was counted for it");
  }

  [[nodiscard]] std::span<const std::span<const std::byte>> records() const noexcept {
    return records_;
  }

private:
  template <class Function>
  static void each_event(std::span<const stream_append> step,
                         std::span<const stream_version> versions, const command_id& command,
                         Function&& show) {
    for (std::size_t i = 0; i < step.size(); ++i) {
      auto version = versions[i];
      auto remaining = step[i].events.size();
      for (const auto& event : step[i].events) {
        version = version.next();
        show({.stream = step[i].stream,
              .version = version,
              .command = command,
              .event_type = event.type,
              .schema_version = event.schema_version,
              .metadata = event.metadata,
              .payload = event.payload},
             --remaining);
      }
    }
  }

  std::vector<std::uint64_t> words_;
  std::vector<std::span<const std::byte>> records_;
};

} // namespace

result<std::unique_ptr<stream_writer>> stream_writer::open(event_log& log, const clock& dated_by) {
  auto index = stream_index::open(log);
  if (!index)
    return failure(index);
  return std::unique_ptr<stream_writer>(new stream_writer(log, dated_by, std::move(*index)));
}

result<std::vector<stream_version>>
stream_writer::check_conditions(std::span<const stream_append> step) const {
  auto snapshot = log_.snapshot();
  if (!snapshot)
    return failure(snapshot);
  std::vector<stream_version> versions;
  std::string violated;
  for (const auto& part : step) {
    const auto actual = index_->version(part.stream, **snapshot);
    if (!actual)
      return std::unexpected(actual.error());
    const auto first = index_->truncated(part.stream, **snapshot);
    if (!first)
      return std::unexpected(first.error());
    versions.push_back(*actual);
    const bool there = exists(*first, *actual);
    if (!part.expected.matches(*actual, there))
      violated += fmt::format("stream {}: expected {}, and it has version {}{}; ",
                              part.stream.to_string(log_.category_name(part.stream.category())),
                              part.expected.to_string(), actual->value(),
                              !there && actual->value() != 0 ? " and was removed" : "");
  }
  ensure(versions.size() == step.size(), "each stream has a version");
  if (!violated.empty())
    return failure(errc::wrong_version, violated + "nothing was stored: read and decide again");
  return versions;
}

result<append_result> stream_writer::append(std::span<const stream_append> step,
                                            const command_id& command) {
  if (auto sound = step_check(log_, step)(); !sound)
    return failure(sound);
  const std::lock_guard guard(mutex_);
  if (auto indexed = index_->catch_up(); !indexed) // what an append before this could not index
    return failure(indexed);
  auto versions = check_conditions(step);
  if (!versions)
    return failure(versions);
  const auto last = store(step, *versions, command);
  if (!last)
    return std::unexpected(last.error());
  for (std::size_t i = 0; i < step.size(); ++i)
    (*versions)[i] = stream_version((*versions)[i].value() + step[i].events.size());
  return append_result{.position = *last, .versions = std::move(*versions)};
}

/// Of streams that have these versions.
result<log_position> stream_writer::store(std::span<const stream_append> step,
                                          std::span<const stream_version> versions,
                                          const command_id& command) {
  const encoded_step encoded(step, versions, command);
  const auto last = log_.append(encoded.records(), clock_.now_ns());
  if (!last)
    return last;
  if (auto indexed = index_->catch_up(); !indexed)
    return failure(indexed.error().code(),
                   "the step is stored, but cannot be read back: " + indexed.error().message());
  ensure(index_->watermark() == *last, "nobody else writes the log");
  return last;
}

/// A stream as it is now.
struct stream_writer::stream_now {
  std::unique_ptr<log_snapshot> snapshot; ///< With the state in `truncated`.
  stream_version version;
  truncation truncated;
  std::string name;
};

result<stream_writer::stream_now> stream_writer::look_at(const stream_id& stream) const {
  if (auto indexed = index_->catch_up(); !indexed)
    return failure(indexed);
  auto snapshot = log_.snapshot();
  if (!snapshot)
    return failure(snapshot);
  const auto version = index_->version(stream, **snapshot);
  if (!version)
    return std::unexpected(version.error());
  const auto truncated = index_->truncated(stream, **snapshot);
  if (!truncated)
    return std::unexpected(truncated.error());
  return stream_now{.snapshot = std::move(*snapshot),
                    .version = *version,
                    .truncated = *truncated,
                    .name = stream.to_string(log_.category_name(stream.category()))};
}

result<log_position> stream_writer::truncate(const stream_id& stream, stream_version before,
                                             const stream_snapshot* state) {
  const std::lock_guard guard(mutex_);
  const auto now = look_at(stream);
  if (!now)
    return std::unexpected(now.error());
  if (before > now->version.next())
    return failure(errc::invalid_argument,
                   fmt::format("stream {}: it has version {}, so nothing before version {} can be "
                               "truncated; {} at most",
                               now->name, now->version.value(), before.value(),
                               now->version.value() + 1));
  if (state != nullptr && (state->version.next() < before || state->version > now->version))
    return failure(errc::invalid_argument,
                   fmt::format("stream {}: its state at version {} does not reach from what is "
                               "truncated, before version {}, to what is there, up to version {}",
                               now->name, state->version.value(), before.value(),
                               now->version.value()));
  auto kept = now->truncated.state;
  if (kept && kept->version.next() < before)
    kept.reset();
  if (state != nullptr && (!kept || kept->version < state->version))
    kept = *state;
  const auto& was = now->truncated;
  const bool has_newer_state = kept && before == was.before && before != stream_version(1)
                               && !was.removed
                               && (!was.state || was.state->version < kept->version);
  if (before <= was.before && !has_newer_state)
    return log_.tail();
  return store_truncation(
    stream, *now, {.before = before, .removed = before > now->version && !kept, .state = kept});
}

result<log_position> stream_writer::remove(const stream_id& stream) {
  const std::lock_guard guard(mutex_);
  const auto now = look_at(stream);
  if (!now)
    return std::unexpected(now.error());
  if (!exists(now->truncated, now->version))
    return log_.tail();
  return store_truncation(stream, *now, {.before = now->version.next(), .removed = true});
}

result<log_position> stream_writer::store_truncation(const stream_id& stream, const stream_now& now,
                                                     const truncation& what) {
  const auto payload = truncation_payload(what, now.name);
  if (!payload)
    return std::unexpected(payload.error());
  const auto ids = register_truncations(log_, stream.category());
  if (!ids)
    return std::unexpected(ids.error());
  const new_event event{.type = ids->event, .payload = *payload};
  const stream_append step{
    in_category(stream, ids->category), expected_version::any(), {&event, 1}};
  const auto earlier = index_->version(step.stream, *now.snapshot);
  if (!earlier)
    return std::unexpected(earlier.error());
  return store({&step, 1}, {&*earlier, 1}, {});
}

} // namespace acta::storage
