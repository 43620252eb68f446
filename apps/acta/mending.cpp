// Finding what is damaged, keeping what is good, and what is not read any more.
#include "commands.hpp"
#include "output.hpp"
#include "views.hpp"

#include <acta/storage/compact.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/repair.hpp>
#include <acta/storage/snapshot_store.hpp>
#include <acta/storage/stream_name.hpp>
#include <acta/storage/stream_writer.hpp>
#include <acta/storage/truncation.hpp>
#include <acta/storage/verify.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace acta::tool {

using nlohmann::ordered_json;

namespace {

/// The records done, of so many: the goal is known when the first are.
[[nodiscard]] std::function<void(std::uint64_t, std::uint64_t)> counting_progress() {
  return [line = std::function<void(log_position)>(),
          last = std::uint64_t{0}](std::uint64_t done, std::uint64_t of) mutable {
    if (!line || done < last) // repair_log() reads more than once
      line = progress_to(log_position(of));
    last = done;
    line(log_position(done));
  };
}

/// Straight from its files; of a store that is in use, the records as its log has them now.
[[nodiscard]] result<storage::verification> find_problems(const verify_arguments& chosen) {
  auto found = storage::verify_store(
    chosen.store, {.max_findings = chosen.findings, .progress = counting_progress()});
  if (found || found.error().code() != errc::store_in_use)
    return found;
  const auto log = storage::open_log_for_reading(chosen.store);
  if (!log)
    return std::unexpected(log.error());
  return storage::verify(**log, chosen.findings, progress_to((*log)->tail()));
}

void add_findings(const storage::verification& found, ordered_json& json, std::string& text) {
  json["findings"] = ordered_json::array();
  for (const auto& one : found.findings) {
    json["findings"].push_back({{"position", one.position.value()},
                                {"file", one.file},
                                {"byte", one.byte},
                                {"what", one.what}});
    text += printable(one.what) + '\n';
  }
}

[[nodiscard]] int print_either(bool json_wanted, const ordered_json& json,
                               const std::string& text) {
  // Keys, and so the names of streams, may be any bytes.
  const auto line = json.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + '\n';
  if (auto printed = print(json_wanted ? line : text); !printed)
    return fail(printed.error());
  return fine;
}

/// A snapshot, and the memory it lies in.
struct owned_state {
  std::vector<std::byte> metadata;
  std::vector<std::uint64_t> state; // aligned as it was
  storage::stream_snapshot snapshot;
};

[[nodiscard]] owned_state copy_of(const storage::stream_snapshot& one) {
  owned_state copy{.metadata = {one.metadata.begin(), one.metadata.end()},
                   .state = std::vector<std::uint64_t>((one.state.size() + 7) / 8),
                   .snapshot = one};
  std::ranges::copy(one.state, std::as_writable_bytes(std::span(copy.state)).begin());
  copy.snapshot.metadata = copy.metadata;
  copy.snapshot.state = std::as_bytes(std::span(copy.state)).first(one.state.size());
  return copy;
}

/// The newest snapshot of a stream that an aggregate could go on from without the events before
/// this version; none if the store has none, or cannot read them.
[[nodiscard]] std::optional<owned_state>
reaching_snapshot(const storage::event_log& log, const stream_id& stream, stream_version before) {
  if (!std::filesystem::exists(log.directory() / "snapshots" / "data.mdb")) // and do not make them
    return std::nullopt;
  const auto snapshots = storage::open_snapshots(log);
  const auto now = log.snapshot();
  if (!snapshots || !now)
    return std::nullopt;
  std::optional<owned_state> found;
  const stream_version oldest(before.value() - 1);
  const auto read = (*snapshots)->read(stream, {.min_version = oldest}, [&](const auto& one) {
    if (one && storage::verify(*one, stream, **now))
      found = copy_of(*one);
    return !found;
  });
  return read ? std::move(found) : std::nullopt;
}

[[nodiscard]] result<log_position> truncate(storage::stream_writer& writer,
                                            const storage::event_log& log, const stream_id& stream,
                                            const truncate_arguments& chosen) {
  const stream_version before(chosen.before);
  const auto now = log.snapshot();
  if (!now)
    return std::unexpected(now.error());
  const auto truncated = writer.index().truncated(stream, **now);
  if (!truncated)
    return std::unexpected(truncated.error());
  if (before < truncated->before)
    return writer.truncate(stream, before); // which does nothing
  const auto version = writer.index().version(stream, **now);
  if (!version)
    return std::unexpected(version.error());
  if (before > version->next())
    return writer.truncate(stream, before); // which says so
  const auto state = reaching_snapshot(log, stream, before);
  const bool goes_further = before > truncated->before;
  const bool has_one = truncated->state && truncated->state->version.next() >= before;
  if (!state && !has_one && goes_further && !chosen.without_state)
    return failure(errc::not_found,
                   fmt::format("{}: '{}' has no snapshot of it from version {} on, so no aggregate "
                               "could be loaded from what is left; nothing was truncated: let its "
                               "program do it (engine::truncate), or say --without-state if there "
                               "is no aggregate of it",
                               chosen.stream, (chosen.store / "snapshots").string(),
                               chosen.before - 1));
  return writer.truncate(stream, before, state ? &state->snapshot : nullptr);
}

/// What has become of it, for people.
[[nodiscard]] std::string outcome_of(const std::string& stream,
                                     const storage::truncation& truncated) {
  if (truncated.removed)
    return fmt::format("{} is removed; version {} comes next\n", stream, truncated.before.value());
  return fmt::format("{} is read from version {}{}\n", stream, truncated.before.value(),
                     truncated.state ? fmt::format("; its state at version {} is in the log",
                                                   truncated.state->version.value())
                                     : "");
}

} // namespace

int verify(const verify_arguments& chosen) {
  auto found = find_problems(chosen);
  if (!found)
    return fail(found.error());
  const bool is_closed = found->pages != 0;
  const auto views =
    is_closed ? verify_views(chosen.store, chosen.findings, *found) : result<std::size_t>(0);
  if (!views)
    return fail(views.error());
  ordered_json json{{"records", found->records},
                    {"streams", found->streams},
                    {"views", *views},
                    {"pages", found->pages},
                    {"problems", found->problems}};
  std::string text;
  add_findings(*found, json, text);
  text +=
    fmt::format("{} records of {} streams{}, {} problems; {}\n", found->records, found->streams,
                *views == 0 ? "" : fmt::format(" and {} views", *views), found->problems,
                is_closed ? fmt::format("{} pages", found->pages)
                          : "pages not looked at, as the store is in use: verify a backup of it");
  const auto printed = print_either(chosen.json, json, text);
  return printed == fine && found->problems != 0 ? failed : printed;
}

int repair(const repair_arguments& chosen) {
  const auto done = storage::repair_log(chosen.store, chosen.into,
                                        {.max_lost = chosen.lost, .progress = counting_progress()});
  if (!done)
    return fail(done.error());
  ordered_json json{{"kept", done->kept.value()},
                    {"lost", done->lost},
                    {"readable", done->readable},
                    {"lost_records", ordered_json::array()}};
  std::string text;
  add_findings(done->found, json, text);
  for (const auto& one : done->lost_records) {
    const auto stream = one.stream ? one.stream->to_string() : std::string();
    json["lost_records"].push_back(
      {{"position", one.position.value()}, {"stream", stream}, {"event_type", one.event_type}});
    text += fmt::format("lost: position {}{}{} {}\n", one.position.value(),
                        stream.empty() ? ", which does not read" : ", stream ", printable(stream),
                        printable(one.event_type));
  }
  text += fmt::format("'{}' has the records up to position {}; {} are lost, {} of them still read "
                      "in '{}'\n",
                      chosen.into.string(), done->kept.value(), done->lost, done->readable,
                      chosen.store.string());
  return print_either(chosen.json, json, text);
}

int compact(const compact_arguments& chosen) {
  const auto done = storage::compact(chosen.store, {.progress = counting_progress()});
  if (!done)
    return fail(done.error());
  std::uint64_t before = 0;
  std::uint64_t after = 0;
  auto files = ordered_json::array();
  std::string text;
  for (const auto& file : *done) {
    before += file.before;
    after += file.after;
    files.push_back({{"name", file.name}, {"before", file.before}, {"after", file.after}});
    text += fmt::format("{}: {} before, {} after\n", file.name, size_text(file.before),
                        size_text(file.after));
  }
  text += fmt::format("{} bytes before, {} after\n", before, after);
  return print_either(chosen.json, {{"before", before}, {"after", after}, {"files", files}}, text);
}

int truncate(const truncate_arguments& chosen) {
  if (!std::filesystem::exists(chosen.store / "log" / "data.mdb")) // and do not make one
    return fail(
      {errc::not_found, fmt::format("'{}' holds no store; check the path", chosen.store.string())});
  const auto log = storage::open_log(chosen.store);
  if (!log)
    return fail(log.error());
  const auto stream = storage::parse_stream(**log, chosen.stream);
  if (!stream)
    return fail(stream.error());
  const auto writer = storage::stream_writer::open(**log);
  if (!writer)
    return fail(writer.error());
  const auto done =
    chosen.before == 0 ? (*writer)->remove(*stream) : truncate(**writer, **log, *stream, chosen);
  if (!done)
    return fail(done.error());
  const auto snapshot = (*log)->snapshot();
  if (!snapshot)
    return fail(snapshot.error());
  const auto now = (*writer)->index().truncated(*stream, **snapshot);
  if (!now)
    return fail(now.error());
  if (auto printed = print(outcome_of(chosen.stream, *now)); !printed)
    return fail(printed.error());
  return fine;
}

} // namespace acta::tool
