#include <acta/runtime/upcasters.hpp>

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace acta::runtime {

namespace {

using domain::upcast_outcome;
using domain::upcaster;
using storage::record_view;

[[nodiscard]] std::string name_of(const upcaster& one) {
  const auto from = fmt::format("the upcaster of '{}' version {}", one.from_type, one.from_version);
  return one.to_type.empty()
           ? from
           : fmt::format("{} to '{}' version {}", from, one.to_type, one.to_version);
}

[[nodiscard]] std::unexpected<error> refused(const upcaster& one, std::string_view why) {
  return failure(errc::invalid_argument, fmt::format("{} {}", name_of(one), why));
}

[[nodiscard]] event_type_id id_of(std::string_view name, const storage::event_log& log) {
  for (event_type_id id(1); !log.event_type_name(id).empty(); id = id.next())
    if (log.event_type_name(id) == name)
      return id;
  return {};
}

[[nodiscard]] const upcaster* find_from(const std::vector<upcaster>& list, std::string_view type,
                                        std::uint16_t version) {
  const auto found = std::ranges::find_if(list, [&](const upcaster& one) {
    return one.from_type == type && one.from_version == version;
  });
  return found == list.end() ? nullptr : &*found;
}

[[nodiscard]] result<void> check(const upcaster& one, const std::vector<upcaster>& list) {
  if (one.from_type.empty())
    return refused(one, "names no event type");
  if (one.from_version == 0 || (one.to_version == 0 && !one.to_type.empty()))
    return refused(one, "has a version 0; versions count from 1");
  if (one.from_type == one.to_type && one.to_version <= one.from_version)
    return refused(one, "does not lead to a newer version");
  if (!one.to_type.empty() && !one.convert)
    return refused(one, "has no function");
  if (find_from(list, one.from_type, one.from_version) != &one)
    return refused(one, "is the second of this type and version; leave one");
  return {};
}

/// `first` and the upcasters that follow it.
[[nodiscard]] result<std::vector<const upcaster*>> follow(const upcaster& first,
                                                          const std::vector<upcaster>& list) {
  std::vector<const upcaster*> steps;
  for (const auto* next = &first; next != nullptr;
       next = find_from(list, next->to_type, next->to_version)) {
    if (steps.size() == list.size())
      return refused(first, "leads, over others, back to where it began");
    steps.push_back(next);
  }
  return steps;
}

/// upcaster::convert, with what it throws as an error.
[[nodiscard]] result<upcast_outcome> call(const upcaster& one, const record_view& record,
                                          std::span<const std::byte> payload,
                                          flatbuffers::FlatBufferBuilder& builder) {
  const auto threw = [&](const char* what) {
    return failure(
      errc::handler_failed,
      fmt::format("position {}: {} threw: {}", record.position().value(), name_of(one), what));
  };
  try {
    return one.convert(payload, builder);
  } catch (const std::exception& thrown) {
    return threw(thrown.what());
  } catch (...) {
    return threw("something that is no std::exception");
  }
}

} // namespace

result<upcasters> upcasters::bind(std::vector<upcaster> list, const storage::event_log& log) {
  upcasters made;
  made.list_ = std::make_unique<const std::vector<upcaster>>(std::move(list));
  for (const auto& one : *made.list_)
    if (auto checked = check(one, *made.list_); !checked)
      return failure(checked);
  for (const auto& one : *made.list_) {
    auto steps = follow(one, *made.list_);
    if (!steps)
      return failure(steps);
    const auto& last = *steps->back();
    const auto to = last.to_type.empty() ? event_type_id() : id_of(last.to_type, log);
    if (!last.to_type.empty() && to == event_type_id())
      return refused(last, "leads to an event type that this store does not know; give the "
                           "aggregate that has it to engine::open<...>");
    const auto from = id_of(one.from_type, log).value();
    if (from == 0)
      continue; // nothing of it was ever stored
    if (made.chains_.size() <= from)
      made.chains_.resize(from + 1U);
    made.chains_[from].push_back({one.from_version, std::move(*steps), to});
  }
  return made;
}

void upcasters::add_sources(std::vector<event_type_id>& wanted) const {
  if (wanted.empty())
    return;
  for (std::size_t type = 0; type < chains_.size(); ++type)
    if (const event_type_id id(static_cast<std::uint16_t>(type));
        !chains_[type].empty() && std::ranges::find(wanted, id) == wanted.end())
      wanted.push_back(id);
}

const upcasters::chain* upcasters::find(const record_view& record) const noexcept {
  const auto type = record.event_type().value();
  if (type >= chains_.size())
    return nullptr;
  for (const auto& one : chains_[type])
    if (one.from_version == record.header().schema_version)
      return &one;
  return nullptr;
}

result<std::span<const record_view>> upcasters::apply(std::span<const record_view> records,
                                                      upcast_memory& memory) const {
  const auto has_one = [this](const record_view& record) { return find(record) != nullptr; };
  if (chains_.empty() || std::ranges::none_of(records, has_one))
    return records;
  memory.records_.clear();
  for (const auto& record : records) {
    const auto* steps = find(record);
    if (steps == nullptr)
      memory.records_.push_back(record);
    else if (auto applied = apply(*steps, record, memory); !applied)
      return failure(applied);
  }
  return memory.records_;
}

/// The payload after all steps, in one of the builders; empty if the event is dropped.
result<std::span<const std::byte>> upcasters::convert(const chain& steps, const record_view& record,
                                                      upcast_memory& memory) {
  auto payload = record.payload();
  std::size_t turn = 0;
  for (const auto* step : steps.steps) {
    if (!step->convert)
      return {}; // a drop()
    auto& builder = memory.builders_[turn++ % 2];
    builder.Clear();
    const auto outcome = call(*step, record, payload, builder);
    if (!outcome)
      return std::unexpected(outcome.error());
    if (*outcome == upcast_outcome::dropped)
      return {};
    if (*outcome == upcast_outcome::malformed)
      return failure(errc::corrupt,
                     fmt::format("position {}: the event is not a well-formed FlatBuffer of '{}', "
                                 "says {}; restore a backup",
                                 record.position().value(), step->from_type, name_of(*step)));
    payload = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
    if (payload.size() > limits::max_payload_size)
      return failure(errc::too_large,
                     fmt::format("position {}: {} made {} bytes of the event; {} are the limit",
                                 record.position().value(), name_of(*step), payload.size(),
                                 limits::max_payload_size));
  }
  return payload;
}

result<void> upcasters::apply(const chain& steps, const record_view& record,
                              upcast_memory& memory) {
  const auto payload = convert(steps, record, memory);
  if (!payload)
    return std::unexpected(payload.error());
  if (payload->empty())
    return {};
  ensure(steps.to != event_type_id(), "what is not dropped becomes an event of a type");
  const auto& header = record.header();
  const auto stream = record.stream();
  const storage::record_fields fields{.stream = stream,
                                      .version = record.version(),
                                      .command = header.command,
                                      .event_type = steps.to,
                                      .schema_version = steps.steps.back()->to_version,
                                      .metadata = record.metadata(),
                                      .payload = *payload};
  const auto size = storage::record_size(fields);
  memory.bytes_.push_back(std::make_unique<std::uint64_t[]>(size / sizeof(std::uint64_t)));
  auto* bytes = reinterpret_cast<std::byte*>(memory.bytes_.back().get());
  storage::encode_record(fields, bytes);
  storage::set_remaining(bytes, header.remaining);
  storage::finish_record(bytes, size, header.recorded_at_ns);
  const auto made = record_view::parse(record.position(), {bytes, size});
  ensure(made.has_value(), "a record that was just encoded parses");
  memory.records_.push_back(*made);
  return {};
}

} // namespace acta::runtime
