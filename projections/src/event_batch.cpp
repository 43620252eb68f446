#include <acta/projections/event_batch.hpp>

#include <acta/base/ensure.hpp>

#include <cstddef>
#include <cstring>

namespace acta::projections {

event_batch::event_batch(std::span<const storage::record_view> records, log_position reached)
    : reached_(reached) {
  std::size_t size = 0;
  for (const auto& record : records)
    size += storage::padded(record.bytes().size());
  bytes_ = std::make_unique_for_overwrite<std::uint64_t[]>(size / sizeof(std::uint64_t));
  records_.reserve(records.size());
  auto* to = reinterpret_cast<std::byte*>(bytes_.get());
  for (const auto& record : records) {
    const auto bytes = record.bytes();
    std::memcpy(to, bytes.data(), bytes.size());
    const auto copied = storage::record_view::parse(record.position(), {to, bytes.size()});
    ensure(copied.has_value(), "a copy of a record that parsed parses");
    records_.push_back(*copied);
    to += storage::padded(bytes.size());
  }
}

} // namespace acta::projections
