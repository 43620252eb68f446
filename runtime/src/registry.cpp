#include "registry.hpp"

#include "caf/actor_host.hpp"

#include <acta/base/ensure.hpp>

#include <utility>

namespace acta::runtime {

void registry::send(const category_entry& category, const stream_id& stream,
                    std::unique_ptr<detail::envelope> command) {
  const auto hash = stream_hash(stream);
  auto& in = shard_of(hash);
  const std::lock_guard guard(in.mutex);
  mailbox* to = nullptr;
  if (auto found = in.of.find(stream, hash); found != in.of.end()) {
    to = *found;
  } else {
    to = &host_.spawn(core_, category, stream);
    in.of.insert(to);
    size_.fetch_add(1, std::memory_order_relaxed);
  }
  ++to->sent;
  to->deliver(std::move(command));
}

void registry::drop_if_idle(const stream_id& stream, std::uint64_t handled) {
  const auto hash = stream_hash(stream);
  auto& in = shard_of(hash);
  const std::lock_guard guard(in.mutex);
  const auto found = in.of.find(stream, hash);
  if (found == in.of.end())
    return;
  auto* idle = *found;
  ensure(handled <= idle->sent || idle->sent == 0, "no more is handled than was sent");
  if (idle->sent != handled)
    return;
  in.of.erase(found);
  size_.fetch_sub(1, std::memory_order_relaxed);
  idle->drop();
}

void registry::clear() noexcept {
  for (auto& in : shards_) {
    const std::lock_guard guard(in.mutex);
    for (auto* one : in.of)
      one->drop();
    size_.fetch_sub(in.of.size(), std::memory_order_relaxed);
    in.of.clear();
  }
}

} // namespace acta::runtime
