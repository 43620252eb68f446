#include "index_delta.hpp"

#include <acta/base/ensure.hpp>

#include <utility>

namespace acta::storage {

std::uint32_t index_delta::table::set(std::uint32_t tag, std::uint32_t event) {
  auto& entry = entries_[place_of(tag)];
  const auto before = static_cast<std::uint32_t>(entry);
  entry = std::uint64_t{tag} << 32U | event;
  if (before == 0 && ++used_ > entries_.size() / 4 * 3)
    grow();
  return before;
}

void index_delta::table::grow() {
  auto before = std::exchange(entries_, std::vector<std::uint64_t>(entries_.size() * 2));
  for (const auto entry : before)
    if (entry != 0)
      entries_[place_of(static_cast<std::uint32_t>(entry >> 32U))] = entry;
  ensure(used_ < entries_.size(), "a search ends at an empty entry");
}

index_delta::index_delta(std::uint64_t base) : base_(base), chunks_(max_chunks) {}

index_delta::~index_delta() {
  for (auto& one : chunks_)
    delete one.load(std::memory_order_relaxed);
}

void index_delta::add(std::uint64_t position, std::uint64_t hash) {
  ensure(position == base_ + size_ + 1 && size_ < max_size, "positions are added in order");
  const auto event = static_cast<std::uint32_t>(++size_);
  auto& chunk = chunks_[event / chunk_size];
  auto* in = chunk.load(std::memory_order_relaxed);
  if (in == nullptr) {
    in = new links;
    chunk.store(in, std::memory_order_release);
  }
  auto& of = shards_[shard_of(hash)];
  const std::lock_guard guard(of.mutex);
  (*in)[event % chunk_size] = of.newest.set(tag_of(hash), event);
}

void index_delta::prefetch(std::uint64_t hash) const noexcept {
  shards_[shard_of(hash)].newest.prefetch(tag_of(hash));
}

std::uint64_t index_delta::newest(std::uint64_t hash) const {
  const auto& of = shards_[shard_of(hash)];
  const std::lock_guard guard(of.mutex);
  const auto event = of.newest.find(tag_of(hash));
  return event == 0 ? 0 : base_ + event;
}

std::uint64_t index_delta::before(std::uint64_t position) const noexcept {
  ensure(position > base_, "a chain leads to what was added");
  const auto event = position - base_;
  const auto* in = chunks_[event / chunk_size].load(std::memory_order_acquire);
  ensure(in != nullptr, "a chain leads to what was added");
  const auto earlier = (*in)[event % chunk_size];
  return earlier == 0 ? 0 : base_ + earlier;
}

std::size_t index_delta::memory() const noexcept {
  std::size_t bytes = (size_ / chunk_size + 1) * sizeof(links);
  for (const auto& one : shards_)
    bytes += one.newest.capacity() * sizeof(std::uint64_t);
  return bytes;
}

} // namespace acta::storage
