// Any bytes as a record: what parses has parts within its bytes.
#include <acta/storage/record.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

using namespace acta;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint64_t> words(size / sizeof(std::uint64_t) + 1); // aligned
  std::memcpy(words.data(), data, size);
  const std::span bytes(reinterpret_cast<const std::byte*>(words.data()), size);
  const auto record = storage::record_view::parse(log_position(1), bytes);
  if (!record)
    return record.error().code() == errc::corrupt ? 0 : (std::abort(), 0);
  std::size_t sum = record->stream_hash() + record->integer_key();
  for (const auto part : {record->key(), record->metadata(), record->payload()})
    for (const auto byte : part)
      sum += std::to_integer<std::size_t>(byte); // reads each, so that a sanitizer sees it
  const auto stream = record->stream();
  if (!record->is_of(stream) || stream.to_string().empty())
    std::abort();
  const volatile std::size_t used = sum + (record->verify() ? 1U : 0U);
  (void)used;
  return 0;
}
