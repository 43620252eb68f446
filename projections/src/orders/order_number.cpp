#include <acta/projections/orders/order_number.hpp>

#include <acta/storage/stream_name.hpp>

namespace acta::projections::orders {

std::string order_number(const storage::record_view& record) {
  const auto stream = record.stream();
  auto text = storage::key_text(stream);
  if (stream.kind() != key_kind::text)
    return text;
  const auto looks_like = [&](key_kind kind) {
    return storage::parse_key(stream.category(), kind, text).has_value();
  };
  if (looks_like(key_kind::integer) || looks_like(key_kind::uuid) || text.starts_with("text:"))
    text.insert(0, "text:");
  return text;
}

} // namespace acta::projections::orders
