#include "registry.hpp"

#include "caf/actor_host.hpp"
#include "prefetch.hpp"
#include "truncation_request.hpp"

#include <acta/base/ensure.hpp>

#include <utility>

namespace acta::runtime {

bool registry::send(const category_entry& category, const stream_id& stream,
                    std::unique_ptr<detail::envelope>& command) {
  const auto hash = stream_hash(stream);
  auto& in = shard_of(hash);
  const std::lock_guard guard(in.mutex);
  auto& to = find_or_start(in, category, stream, hash);
  // Relaxed: a number read late only tells of more that wait than there are.
  if (to.sent - to.handled.load(std::memory_order_relaxed) >= core_.options.max_mailbox)
    return false;
  ++to.sent;
  to.deliver(std::move(command));
  return true;
}

void registry::send(const category_entry& category, const stream_id& stream,
                    std::unique_ptr<truncation_request> request) {
  const auto hash = stream_hash(stream);
  auto& in = shard_of(hash);
  const std::lock_guard guard(in.mutex);
  auto& to = find_or_start(in, category, stream, hash);
  ++to.sent;
  to.deliver(std::move(request));
}

mailbox& registry::find_or_start(shard& in, const category_entry& category, const stream_id& stream,
                                 std::uint64_t hash) {
  if (auto found = in.of.find(stream, hash); found != in.of.end())
    return **found;
  auto& started = host_.spawn(core_, category, stream);
  in.of.insert(&started);
  size_.fetch_add(1, std::memory_order_relaxed);
  return started;
}

/// By shard, so that each lock, and the memory around it, is taken from the senders once.
void registry::drop_idle(std::span<const finished_actor> finished) {
  for (const auto& one : finished)
    of_shard_[one.actor->stream().hash() >> 58U].push_back(one);
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    if (of_shard_[i].empty())
      continue;
    const std::lock_guard guard(shards_[i].mutex);
    for (const auto& [actor, handled] : of_shard_[i]) {
      ensure(handled <= actor->sent, "no more is handled than was sent");
      if (actor->sent != handled)
        continue;
      ensure(shards_[i].of.erase(actor) == 1, "an actor is dropped once");
      dropped_.push_back(actor);
    }
    of_shard_[i].clear();
  }
  size_.fetch_sub(dropped_.size(), std::memory_order_relaxed);
  constexpr std::size_t ahead = 4;
  for (std::size_t i = 0; i < dropped_.size(); ++i) { // nobody finds them any more
    if (i + ahead < dropped_.size())
      prefetch(dropped_[i + ahead], 4, -224); // what CAF keeps of an actor lies before this
    dropped_[i]->drop();
  }
  dropped_.clear();
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
