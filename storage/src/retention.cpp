#include "retention.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>
#include <acta/storage/retention_generated.h>
#include <acta/storage/schema.hpp>
#include <acta/storage/truncation.hpp>

#include <fmt/format.h>

#include <cstdint>
#include <span>
#include <string>

namespace acta::storage {

category_id retention_categories::of(category_id category) const {
  const std::lock_guard guard(mutex_);
  read_new_names();
  return category.value() < of_.size() ? category_id(of_[category.value()]) : category_id(0);
}

/// The dictionary only grows, and a category comes before that of its truncations.
void retention_categories::read_new_names() const {
  for (;;) {
    const category_id next(static_cast<std::uint16_t>(known_ + 1));
    const auto name = log_.category_name(next);
    if (name.empty())
      return;
    known_ = next.value();
    of_.resize(known_ + 1U);
    if (!name.starts_with(retention_prefix))
      continue;
    for (std::uint16_t id = 1; id < known_; ++id)
      if (log_.category_name(category_id(id)) == name.substr(retention_prefix.size()))
        of_[id] = known_;
  }
}

stream_id in_category(const stream_id& stream, category_id category) {
  const auto other = stream_id::from_bytes(category, stream.kind(), stream.key());
  ensure(other.has_value(), "the key was a stream's");
  return *other;
}

result<truncation_ids> register_truncations(event_log& log, category_id category) {
  const auto name = log.category_name(category);
  if (name.empty() || name.starts_with(retention_prefix))
    return failure(errc::invalid_argument,
                   fmt::format("category {} ('{}') has no streams that could be truncated",
                               category.value(), name));
  const auto truncations = log.register_category(std::string(retention_prefix) + std::string(name));
  if (!truncations)
    return std::unexpected(truncations.error());
  const auto event = log.register_event_type(truncated_event);
  if (!event)
    return std::unexpected(event.error());
  const event_schema schema{.type = *event, .bfbs = std::as_bytes(schema_of<stream_truncated>)};
  if (auto known = register_schemas(log, {&schema, 1}); !known)
    return failure(known);
  return truncation_ids{.category = *truncations, .event = *event};
}

namespace {

[[nodiscard]] std::span<const std::byte>
bytes_of(const flatbuffers::Vector<std::uint8_t>* vector) noexcept {
  return vector == nullptr ? std::span<const std::byte>()
                           : std::as_bytes(std::span(vector->data(), vector->size()));
}

/// FlatBuffers are read in place.
[[nodiscard]] flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>>
put_aligned(flatbuffers::FlatBufferBuilder& builder, std::span<const std::byte> bytes) {
  builder.ForceVectorAlignment(bytes.size(), sizeof(std::uint8_t), 8);
  return builder.CreateVector(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

[[nodiscard]] flatbuffers::Offset<stream_state> put_state(flatbuffers::FlatBufferBuilder& builder,
                                                          const stream_snapshot& one) {
  const auto metadata = put_aligned(builder, one.metadata);
  const auto state = put_aligned(builder, one.state);
  return Createstream_state(builder, one.version.value(), one.position.value(), one.event_checksum,
                            one.recorded_at_ns, one.schema_hash, metadata, state);
}

} // namespace

result<truncation> read_truncation(const record_view& record) {
  const auto payload = record.payload();
  flatbuffers::Verifier check(reinterpret_cast<const std::uint8_t*>(payload.data()),
                              payload.size());
  const auto damaged = failure(
    errc::corrupt, fmt::format("position {}: it is no truncation of a stream; the log is damaged: "
                               "restore a backup",
                               record.position().value()));
  if (!check.VerifyBuffer<stream_truncated>(nullptr))
    return damaged;
  const auto* what = flatbuffers::GetRoot<stream_truncated>(payload.data());
  truncation found{.before = stream_version(what->before()), .removed = what->removed()};
  if (const auto* kept = what->state(); kept != nullptr) {
    found.state = {.version = stream_version(kept->version()),
                   .position = log_position(kept->position()),
                   .event_checksum = kept->event_checksum(),
                   .recorded_at_ns = kept->recorded_at_ns(),
                   .schema_hash = kept->schema_hash(),
                   .metadata = bytes_of(kept->metadata()),
                   .state = bytes_of(kept->state())};
    if (found.removed || found.state->version.next() < found.before
        || reinterpret_cast<std::uintptr_t>(found.state->state.data()) % 8 != 0)
      return damaged;
  }
  return found;
}

result<std::vector<std::byte>> truncation_payload(const truncation& what, std::string_view stream) {
  ensure(!what.state || (!what.removed && what.state->version.next() >= what.before),
         "a state that is kept reaches the events that are");
  const auto size = what.state ? what.state->metadata.size() + what.state->state.size() : 0;
  constexpr std::size_t beside_it = 256; // fields, their places, and what aligns them
  if (size + beside_it > limits::max_payload_size)
    return failure(errc::too_large,
                   fmt::format("stream {}: its state has {} bytes, and at most {} can be kept in "
                               "the log; nothing was truncated: keep what is large beside the log",
                               stream, size, limits::max_payload_size - beside_it));
  flatbuffers::FlatBufferBuilder builder;
  flatbuffers::Offset<stream_state> state;
  if (what.state)
    state = put_state(builder, *what.state);
  builder.Finish(Createstream_truncated(builder, what.before.value(), what.removed, state));
  const auto bytes = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  ensure(bytes.size() <= limits::max_payload_size, "what is beside a state was counted");
  return std::vector<std::byte>(bytes.begin(), bytes.end());
}

} // namespace acta::storage
