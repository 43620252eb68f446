#include "registry.hpp"

#include "atomic_command.hpp"
#include "caf/actor_host.hpp"
#include "prefetch.hpp"
#include "truncation_request.hpp"

#include <acta/base/ensure.hpp>

#include <utility>

namespace acta::runtime {

registry::delivery registry::send(const category_entry& category, const stream_id& stream,
                                  std::unique_ptr<detail::envelope>& command) {
  const auto hash = stream_hash(stream);
  auto& in = shard_of(hash);
  const std::lock_guard guard(in.mutex);
  const auto budget = core_.options.memory_budget;
  if (budget != 0
      && core_.aggregate_memory.load(std::memory_order_relaxed)
           > static_cast<std::int64_t>(budget + budget / 8)
      && !in.of.contains(stream, hash))
    return delivery::memory_full;
  auto& to = find_or_start(in, category, stream, hash);
  // A number read late only tells of more that wait than there are; but who waits for room tries
  // after he said so, and is to find what atomic_command::let_go() made.
  if (to.sent - to.handled.load(std::memory_order_seq_cst) >= core_.options.max_mailbox)
    return delivery::mailbox_full;
  ++to.sent;
  to.deliver(std::move(command));
  return delivery::done;
}

void registry::send(const category_entry& category, const stream_id& stream,
                    std::unique_ptr<truncation_request> request) {
  send_anyway(category, stream, std::move(request));
}

void registry::send(const category_entry& category, const stream_id& stream,
                    std::unique_ptr<hold_request> request) {
  send_anyway(category, stream, std::move(request));
}

template <class Request>
void registry::send_anyway(const category_entry& category, const stream_id& stream,
                           std::unique_ptr<Request> request) {
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
  auto& started = host_.spawn(category, stream);
  in.of.insert(&started);
  size_.fetch_add(1, std::memory_order_relaxed);
  return started;
}

void registry::drop_idle(std::span<const finished_actor> finished) {
  drop(finished, false);
}

void registry::drop_chosen(std::span<const finished_actor> chosen) {
  drop(chosen, true);
}

/// By shard, so that each lock, and the memory around it, is taken from the senders once.
void registry::drop(std::span<const finished_actor> finished, bool chosen) {
  for (const auto& one : finished)
    of_shard_[one.actor->stream().hash() >> 58U].push_back(one);
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    if (of_shard_[i].empty())
      continue;
    const std::lock_guard guard(shards_[i].mutex);
    for (const auto& [actor, handled] : of_shard_[i]) {
      ensure(handled <= actor->sent, "no more is handled than was sent");
      if (chosen)
        actor->chosen = false;
      else
        actor->announced.fetch_sub(1, std::memory_order_relaxed);
      // What was chosen is dropped as such: until then there is a pointer to it.
      if (actor->sent != handled || actor->chosen)
        continue;
      // More of its numbers may be on their way to here.
      if (!chosen && actor->announced.load(std::memory_order_relaxed) != 0)
        continue;
      ensure(shards_[i].of.erase(actor) == 1, "an actor is dropped once");
      dropped_.push_back(actor);
    }
    of_shard_[i].clear();
  }
  size_.fetch_sub(dropped_.size(), std::memory_order_relaxed);
  core_.passivated.fetch_add(dropped_.size(), std::memory_order_relaxed);
  std::int64_t memory = 0;
  constexpr std::size_t ahead = 4;
  for (std::size_t i = 0; i < dropped_.size(); ++i) { // nobody finds them any more
    if (i + ahead < dropped_.size())
      prefetch(dropped_[i + ahead], 4, -192); // what CAF keeps of an actor lies before this
    memory += dropped_[i]->memory_bytes.load(std::memory_order_relaxed);
    dropped_[i]->drop();
  }
  core_.aggregate_memory.fetch_sub(memory, std::memory_order_relaxed);
  dropped_.clear();
}

/// Goes on where it stopped, so that all have their turn.
void registry::choose_idle(std::uint32_t now, std::uint32_t age, std::int64_t wanted,
                           std::vector<finished_actor>& chosen) {
  for (std::size_t i = 0; i < shards_.size() && wanted > 0; ++i) {
    auto& in = shards_[next_shard_];
    next_shard_ = (next_shard_ + 1) % shards_.size();
    const std::lock_guard guard(in.mutex);
    for (auto* one : in.of) {
      if (now - one->used_at.load(std::memory_order_relaxed) < age
          || one->announced.load(std::memory_order_relaxed) != 0
          || one->chosen
          // In this order: see mailbox::busy.
          || one->handled.load(std::memory_order_acquire) != one->sent
          || one->busy.load(std::memory_order_acquire))
        continue;
      one->chosen = true;
      chosen.push_back({one, one->sent});
      wanted -= one->memory_bytes.load(std::memory_order_relaxed);
      if (wanted <= 0)
        break;
    }
  }
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
