#include "index_batch.hpp"

#include <acta/base/ensure.hpp>

#include <algorithm>

namespace acta::storage {

void index_batch::add(const record_view& record) {
  constexpr auto part_mask = (std::uint64_t{1} << event::version_bits) - 1;
  const auto& header = record.header();
  const auto kind = static_cast<acta::key_kind>(header.key_kind);
  const event one{.position = record.position().value() & limits::max_position,
                  .version_part = header.version & part_mask};
  ensure(one.position == record.position().value(), "a position has 40 bits");
  has_large_versions_ = has_large_versions_ || header.version > part_mask;
  auto& in = partitions_[{category_id(header.category), kind}];
  if (kind == key_kind::integer) {
    in.integers.push_back({record.integer_key(), one});
  } else {
    const auto key = record.key();
    in.others.push_back({{reinterpret_cast<const char*>(key.data()), key.size()}, one});
  }
}

/// Sorts, and shows each run of one key.
template <class Key, class MakeKey>
result<void> index_batch::each_run(std::vector<keyed<Key>>& all, MakeKey make_key,
                                   const show_stream& show) {
  if (!std::is_sorted(all.begin(), all.end()))
    std::sort(all.begin(), all.end());
  for (auto begin = all.begin(); begin != all.end();) {
    run_.clear();
    auto end = begin;
    for (; end != all.end() && end->key == begin->key; ++end)
      run_.push_back(end->of);
    ensure(!run_.empty(), "a stream in a batch has events");
    auto key = make_key(begin->key);
    if (auto shown = show(key, run_); !shown)
      return shown;
    begin = end;
  }
  all = {};
  return {};
}

result<void> index_batch::each_stream(const show_stream& show) {
  for (auto& [of, in] : partitions_) {
    const auto [category, kind] = of;
    auto shown =
      each_run(in.integers, [&](std::uint64_t key) { return index_key(category, key); }, show);
    if (!shown)
      return shown;
    shown = each_run(
      in.others,
      [&](std::string_view key) {
        const auto stream = stream_id::from_bytes(category, kind, std::as_bytes(std::span(key)));
        ensure(stream.has_value(), "the key was a record's");
        return index_key(*stream);
      },
      show);
    if (!shown)
      return shown;
  }
  return {};
}

} // namespace acta::storage
