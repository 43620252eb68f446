#include "retention.hpp"

#include <acta/base/ensure.hpp>
#include <acta/storage/retention_generated.h>

#include <fmt/format.h>

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

result<truncation> read_truncation(const record_view& record) {
  const auto payload = record.payload();
  flatbuffers::Verifier check(reinterpret_cast<const std::uint8_t*>(payload.data()),
                              payload.size());
  if (!check.VerifyBuffer<stream_truncated>(nullptr))
    return failure(errc::corrupt, fmt::format("position {}: it is no truncation of a stream; the "
                                              "log is damaged: restore a backup",
                                              record.position().value()));
  const auto* what = flatbuffers::GetRoot<stream_truncated>(payload.data());
  return truncation{.before = stream_version(what->before()), .removed = what->removed()};
}

std::span<const std::byte> schema_of_truncations() noexcept {
  return std::as_bytes(schema_of<stream_truncated>);
}

std::vector<std::byte> truncation_payload(const truncation& what) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(Createstream_truncated(builder, what.before.value(), what.removed));
  const auto bytes = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  return {bytes.begin(), bytes.end()};
}

} // namespace acta::storage
