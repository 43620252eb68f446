#include <acta/storage/stream_writer.hpp>

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>
#include <acta/storage/record.hpp>

#include <fmt/format.h>

#include <string>

namespace acta::storage {

namespace {

[[nodiscard]] result<void> check_sizes(const event_log& log, std::span<const stream_append> step) {
  std::size_t bytes = 0;
  for (const auto& part : step) {
    const auto refuse = [&](const std::string& what) {
      return failure(errc::too_large,
                     fmt::format("stream {}: {}; nothing was stored",
                                 part.stream.to_string(log.category_name(part.stream.category())),
                                 what));
    };
    if (part.events.size() > limits::max_events_per_command)
      return refuse(fmt::format("{} events in one step, {} at most", part.events.size(),
                                limits::max_events_per_command));
    for (const auto& event : part.events) {
      if (event.payload.size() > limits::max_payload_size)
        return refuse(fmt::format("an event of {} bytes, {} at most", event.payload.size(),
                                  limits::max_payload_size));
      if (event.metadata.size() > limits::max_metadata_size)
        return refuse(fmt::format("metadata of {} bytes, {} at most", event.metadata.size(),
                                  limits::max_metadata_size));
      bytes += event.payload.size() + event.metadata.size();
      if (bytes > limits::max_command_size)
        return refuse(fmt::format("the step has more than {} bytes", limits::max_command_size));
    }
  }
  return {};
}

[[nodiscard]] result<void> check_named_once(const event_log& log,
                                            std::span<const stream_append> step) {
  for (std::size_t i = 0; i < step.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (step[i].stream == step[j].stream)
        return failure(
          errc::invalid_argument,
          fmt::format("stream {} is named twice in one step; put its events together",
                      step[i].stream.to_string(log.category_name(step[i].stream.category()))));
  return {};
}

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
  std::unique_ptr<stream_writer> made(new stream_writer(log, dated_by));
  if (auto indexed = made->index_.catch_up(stream_index::check::full); !indexed)
    return failure(indexed);
  return made;
}

result<std::vector<stream_version>>
stream_writer::check_conditions(std::span<const stream_append> step) const {
  auto snapshot = log_.snapshot();
  if (!snapshot)
    return failure(snapshot);
  std::vector<stream_version> versions;
  std::string violated;
  for (const auto& part : step) {
    const auto actual = index_.version(part.stream, **snapshot);
    if (!actual)
      return std::unexpected(actual.error());
    versions.push_back(*actual);
    if (!part.expected.matches(*actual))
      violated += fmt::format("stream {}: expected {}, and it has version {}; ",
                              part.stream.to_string(log_.category_name(part.stream.category())),
                              part.expected.to_string(), actual->value());
  }
  ensure(versions.size() == step.size(), "each stream has a version");
  if (!violated.empty())
    return failure(errc::wrong_version, violated + "nothing was stored: read and decide again");
  return versions;
}

result<append_result> stream_writer::append(std::span<const stream_append> step,
                                            const command_id& command) {
  if (auto once = check_named_once(log_, step); !once)
    return failure(once);
  if (auto fits = check_sizes(log_, step); !fits)
    return failure(fits);
  const std::lock_guard guard(mutex_);
  auto versions = check_conditions(step);
  if (!versions)
    return failure(versions);
  const encoded_step encoded(step, *versions, command);
  const auto last = log_.append(encoded.records(), clock_.now_ns());
  if (!last)
    return std::unexpected(last.error());
  if (auto indexed = index_.catch_up(); !indexed)
    return failure(indexed.error().code(),
                   "the step is stored, but cannot be read back: " + indexed.error().message());
  ensure(index_.watermark() == *last, "nobody else writes the log");
  for (std::size_t i = 0; i < step.size(); ++i)
    (*versions)[i] = stream_version((*versions)[i].value() + step[i].events.size());
  return append_result{.position = *last, .versions = std::move(*versions)};
}

} // namespace acta::storage
