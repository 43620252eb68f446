// Any bytes as a key of the index or of a snapshot, and as what stands under it: what is one comes
// back the same.
#include "index_chunk.hpp"
#include "index_key.hpp"
#include "snapshot_format.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

using namespace acta;
using namespace acta::storage;

namespace {

void check_index_key(std::span<const std::byte> key) {
  const auto name = parse_index_key(key);
  if (!name)
    return;
  index_key again(name->stream);
  again.set_version(name->version);
  if (!std::ranges::equal(again.bytes(), key) || name->stream.to_string().empty())
    std::abort();
}

void check_snapshot_key(std::span<const std::byte> key) {
  const auto name = parse_snapshot_key(key);
  if (name && !std::ranges::equal(snapshot_key(name->stream, name->version).bytes(), key))
    std::abort();
}

/// A stream's name as a text makes keys of both kinds that say so.
void check_stream(std::span<const std::byte> text) {
  const auto stream = stream_id::from_bytes(category_id(1), key_kind::text, text);
  if (!stream)
    return;
  index_key key(*stream);
  key.set_version(stream_version(text.size()));
  const auto name = parse_index_key(key.bytes());
  const auto snapshot =
    parse_snapshot_key(snapshot_key(*stream, stream_version(text.size())).bytes());
  if (!name || !(name->stream == *stream) || !snapshot || !(snapshot->stream == *stream)
      || name->version != snapshot->version)
    std::abort();
}

void check_chunk(std::span<const std::byte> value) {
  const index_chunk chunk(value);
  if (!chunk.is_well_formed())
    return;
  std::vector<std::byte> again(value.size());
  for (std::size_t i = 0; i < chunk.size(); ++i)
    index_chunk::put(again.data() + i * index_chunk::position_size, chunk[i]);
  if (!std::ranges::equal(again, value) || chunk.last() != chunk[chunk.size() - 1])
    std::abort();
}

void check_snapshot_of(std::span<const std::byte> value) {
  std::vector<std::uint64_t> words(value.size() / sizeof(std::uint64_t) + 1); // aligned
  std::memcpy(words.data(), value.data(), value.size());
  const auto bytes = std::as_bytes(std::span(words)).first(value.size());
  const auto one = parse_snapshot(stream_id(category_id(1), 7), stream_version(1), bytes);
  if (!one)
    return one.error().code() == errc::corrupt ? void() : std::abort();
  if (snapshot_size(*one) != value.size())
    std::abort();
}

} // namespace

/// The first byte says how many of the others are the key.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const auto all = std::as_bytes(std::span(data, size)).subspan(1);
  const auto key = all.first(std::min<std::size_t>(data[0], all.size()));
  const auto value = all.subspan(key.size());
  check_index_key(key);
  check_snapshot_key(key);
  check_stream(key);
  check_chunk(value);
  check_snapshot_of(value);
  return 0;
}
