#include "store_script.hpp"

#include <acta/storage/verify.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>

namespace acta::tests {

namespace {

constexpr std::size_t streams = 5;

[[nodiscard]] std::unexpected<error> wrong(const std::string& what) {
  return failure(errc::corrupt, what);
}

} // namespace

store_script::store_script(std::size_t appends) : versions_(streams) {
  steps_.push_back({});
  steps_.push_back({.category = "first", .records = {}});
  steps_.push_back({.event_type = "something.happened", .records = {}});
  for (std::size_t number = 0; number < appends; ++number) {
    add_append(number);
    if (number % 6 == 4)
      steps_.push_back({.event_type = fmt::format("something.else.{}", number), .records = {}});
    if (number % 8 == 6)
      steps_.push_back({.records = {}, .reopens = true});
  }
  for (std::size_t i = 0; i < after_the_last; ++i)
    add_group(3, 40);
}

void store_script::add_append(std::size_t number) {
  switch (number % 10) {
    case 3: add_group(300, 60); break;
    case 5: add_group(2, 40'000); break;    // over some pages each
    case 7: add_group(1, 1'000'000); break; // over many
    case 8: add_group(40, 2'500); break;    // over half of one
    default: add_group(1 + number % 3, 48 + number);
  }
}

/// Records of commands with one to three events each, as a group commit has them.
void store_script::add_group(std::size_t count, std::size_t payload) {
  step added;
  while (added.records.size() < count) {
    const auto stream = commands_ % streams;
    const auto events = std::min(count - added.records.size(), 1 + commands_ % 3);
    ++commands_;
    for (std::size_t left = events; left-- > 0;) {
      const auto version = ++versions_[stream];
      const std::string text(payload, static_cast<char>('a' + (version + stream) % 26));
      added.records.emplace_back(stream_id(category_id(1), stream + 1), version, text,
                                 static_cast<std::uint16_t>(left), commands_);
    }
  }
  steps_.push_back(std::move(added));
}

std::uint64_t store_script::tail(std::size_t done) const {
  std::uint64_t records = 0;
  for (std::size_t i = 0; i < done; ++i)
    records += steps_[i].records.size();
  return records;
}

std::size_t store_script::steps_until(std::uint64_t wanted) const {
  std::size_t done = 0;
  for (std::uint64_t records = 0; records < wanted; ++done)
    records += steps_.at(done).records.size();
  return done;
}

std::vector<std::string> store_script::names(std::size_t done, std::string step::* kind) const {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < done; ++i)
    if (!(steps_[i].*kind).empty())
      all.push_back(steps_[i].*kind);
  return all;
}

namespace {

[[nodiscard]] result<void> open(const std::filesystem::path& directory,
                                const store_options& options, open_store& store) {
  store.close();
  auto log = storage::open_log(directory, options.log);
  if (!log)
    return failure(log);
  store.log = std::move(*log);
  if (options.index_memory == 0)
    return {};
  auto index = storage::stream_index::open(*store.log, {.memory = options.index_memory});
  if (!index)
    return failure(index);
  store.index = std::move(*index);
  return {};
}

} // namespace

result<void> store_script::run(std::size_t number, const std::filesystem::path& directory,
                               const store_options& options, open_store& store) const {
  if (opens(number))
    return open(directory, options, store);
  const auto& what = steps_.at(number);
  if (!what.category.empty()) {
    auto added = store.log->register_category(what.category);
    return added ? result<void>() : failure(added);
  }
  if (!what.event_type.empty()) {
    auto added = store.log->register_event_type(what.event_type);
    return added ? result<void>() : failure(added);
  }
  std::vector<std::span<const std::byte>> spans;
  for (const auto& record : what.records)
    spans.push_back(record.bytes());
  auto appended = store.log->append(spans, finished_record::recorded_at_ns);
  if (!appended)
    return failure(appended);
  if (appended->value() != tail(number + 1))
    return wrong(fmt::format("step {} ends at position {}, and was given {}", number,
                             tail(number + 1), appended->value()));
  return store.index ? store.index->catch_up() : result<void>();
}

result<std::size_t> store_script::steps_in(const open_store& store, std::size_t receipted,
                                           std::size_t begun) const {
  const auto& log = *store.log;
  const auto found = log.tail().value();
  if (found < tail(receipted))
    return wrong(
      fmt::format("positions {} to {} were receipted and are gone", found + 1, tail(receipted)));
  const auto names_of = [](auto&& name_of) {
    std::vector<std::string> all;
    for (std::uint16_t id = 1; !name_of(id).empty(); ++id)
      all.emplace_back(name_of(id));
    return all;
  };
  const auto categories = names_of([&](auto id) { return log.category_name(category_id(id)); });
  const auto types = names_of([&](auto id) { return log.event_type_name(event_type_id(id)); });
  auto done = begun;
  while (done > receipted
         && (tail(done) != found || names(done, &step::category) != categories
             || names(done, &step::event_type) != types))
    --done;
  if (tail(done) != found || names(done, &step::category) != categories
      || names(done, &step::event_type) != types)
    return wrong(fmt::format("{} records, {} categories and {} event types are the work of no "
                             "number of steps from {} to {}",
                             found, categories.size(), types.size(), receipted, begun));
  if (auto same = compare(log, found); !same)
    return failure(same);
  if (auto same = compare_index(store); !same)
    return failure(same);
  return done;
}

/// Every stream as the index reads it, against the log read whole.
result<void> store_script::compare_index(const open_store& store) {
  if (!store.index)
    return {};
  const auto snapshot = store.log->snapshot();
  if (!snapshot)
    return std::unexpected(snapshot.error());
  std::map<std::uint64_t, std::vector<std::uint64_t>> expected;
  for (std::uint64_t position = 1; position <= (*snapshot)->tail().value(); ++position)
    expected[(*snapshot)->at(log_position(position))->integer_key()].push_back(position);
  for (const auto& [key, positions_of_key] : expected) {
    const auto read = store.index->read(stream_id(category_id(1), key), **snapshot);
    if (!read)
      return std::unexpected(read.error());
    const auto position_of = [](const auto& record) { return record.position().value(); };
    if (!std::ranges::equal(*read, positions_of_key, {}, position_of))
      return wrong(fmt::format("the index has {} events of stream {}, the log {}, or others",
                               read->size(), key, positions_of_key.size()));
  }
  return {};
}

result<void> store_script::compare(const storage::event_log& log, std::uint64_t last) const {
  const auto snapshot = log.snapshot();
  if (!snapshot)
    return std::unexpected(snapshot.error());
  std::uint64_t position = 0;
  for (const auto& one : steps_) {
    for (const auto& record : one.records) {
      if (++position > last)
        break;
      const auto stored = (*snapshot)->at(log_position(position));
      if (!stored)
        return std::unexpected(stored.error());
      if (!std::ranges::equal(stored->bytes(), record.bytes()))
        return wrong(fmt::format("position {} is not what was appended", position));
    }
  }
  const auto verified = storage::verify(log);
  if (!verified)
    return std::unexpected(verified.error());
  if (verified->problems != 0 || verified->records != last)
    return wrong("verify: "
                 + (verified->findings.empty() ? std::string("records are missing")
                                               : verified->findings.front().what));
  return {};
}

progress progress_at(const std::vector<disk_operation>& operations, std::size_t cut) {
  progress at;
  for (std::size_t i = 0; i < cut; ++i) {
    if (operations[i].what != disk_operation::kind::mark)
      continue;
    const auto steps = static_cast<std::size_t>(operations[i].value / 2) + 1;
    auto& reached = operations[i].value % 2 == 0 ? at.begun : at.receipted;
    reached = std::max(reached, steps);
  }
  return at;
}

} // namespace acta::tests
