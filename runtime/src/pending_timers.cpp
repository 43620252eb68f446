#include "pending_timers.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/error.hpp>
#include <acta/base/limits.hpp>
#include <acta/domain/aggregate.hpp>
#include <acta/runtime/timer_generated.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace acta::runtime {

const char* timer_event_name() noexcept {
  return timer::GetFullyQualifiedName();
}

std::span<const std::byte> timer_event_schema() noexcept {
  return std::as_bytes(std::span(schema_of<timer>));
}

std::span<const std::byte> timer_payload(const timer_setting& one) {
  thread_local flatbuffers::FlatBufferBuilder builder(128);
  builder.Clear();
  builder.Finish(Createtimer(builder, one.id.value(), one.due_ns));
  return std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
}

result<timer_setting> read_timer(const storage::record_view& record) {
  const auto* read = domain::verified<timer>(record.payload());
  if (read == nullptr || read->due_ns() < 0)
    return failure(errc::corrupt,
                   fmt::format("position {}, stream {}: the event is not a well-formed '{}'; "
                               "restore a backup",
                               record.position().value(), record.stream().to_string(),
                               timer_event_name()));
  return timer_setting{.id = timer_id(read->id()), .due_ns = read->due_ns()};
}

std::int64_t pending_timers::due_of(timer_id id) const noexcept {
  if (all_ == nullptr)
    return 0;
  const auto found = std::ranges::find(*all_, id, &timer_setting::id);
  return found == all_->end() ? 0 : found->due_ns;
}

void pending_timers::apply(const timer_setting& one) {
  if (all_ == nullptr && one.due_ns == 0)
    return;
  if (all_ == nullptr)
    all_ = std::make_unique<std::vector<timer_setting>>();
  const auto found = std::ranges::find(*all_, one.id, &timer_setting::id);
  if (found == all_->end() && one.due_ns != 0)
    all_->push_back(one);
  else if (found != all_->end() && one.due_ns != 0)
    found->due_ns = one.due_ns;
  else if (found != all_->end())
    all_->erase(found);
  if (all_->empty())
    all_.reset();
}

void pending_timers::save(std::vector<std::byte>& with_commands) const {
  if (all_ == nullptr)
    return;
  std::uint64_t head = 0;
  ensure(with_commands.size() >= sizeof head, "it begins with the window of commands");
  std::memcpy(&head, with_commands.data(), sizeof head);
  ensure(head >> 32U == 0, "a window fits in half a word");
  head |= std::uint64_t{all_->size()} << 32U;
  std::memcpy(with_commands.data(), &head, sizeof head);
  const auto bytes = std::as_bytes(std::span(*all_));
  with_commands.insert(with_commands.end(), bytes.begin(), bytes.end());
}

std::optional<saved_memory> take_apart(std::span<const std::byte> saved) {
  std::uint64_t head = 0;
  if (saved.size() < sizeof head)
    return std::nullopt;
  std::memcpy(&head, saved.data(), sizeof head);
  const auto count = head >> 32U;
  if (count * sizeof(timer_setting) > saved.size() - sizeof head)
    return std::nullopt;
  saved_memory parts{.commands = saved.first(saved.size() - count * sizeof(timer_setting))};
  parts.timers.resize(count);
  if (count != 0)
    std::memcpy(parts.timers.data(), saved.data() + parts.commands.size(),
                count * sizeof(timer_setting));
  if (std::ranges::any_of(parts.timers, [](const auto& one) { return one.due_ns < 1; }))
    return std::nullopt;
  return parts;
}

} // namespace acta::runtime
