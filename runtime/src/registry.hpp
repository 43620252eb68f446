#pragma once

#include "core.hpp"
#include "mailbox.hpp"
#include "settlement.hpp"

#include <tsl/robin_set.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace acta::runtime {

class actor_host;

/// Which aggregates have an actor now.
///
/// Concurrency: sharded by stream, a mutex a shard, held while a command is put into a mailbox. So
/// an actor that is found is never dropped before the command is in, and drop_idle() sees every
/// command that was sent.
class registry {
public:
  registry(core& shared, actor_host& host) : core_(shared), host_(host) {}
  ~registry() { clear(); }
  registry(const registry&) = delete;
  registry& operator=(const registry&) = delete;

  enum class delivery : std::uint8_t {
    done,
    mailbox_full, ///< engine_options::max_mailbox commands wait there already.
    memory_full,  ///< There is no actor, and the others take more than they may.
  };
  /// Delivers a command to the stream's actor, which is started if there is none; or else leaves
  /// it.
  [[nodiscard]] delivery send(const category_entry& category, const stream_id& stream,
                              std::unique_ptr<detail::envelope>& command);

  /// The same, whatever waits.
  void send(const category_entry& category, const stream_id& stream,
            std::unique_ptr<truncation_request> request);
  void send(const category_entry& category, const stream_id& stream,
            std::unique_ptr<hold_request> request);

  /// Drops those actors that were sent no more than they have handled. Their events must all be
  /// indexed: the next command loads them. One thread.
  void drop_idle(std::span<const finished_actor> finished);

  /// Looks for idle actors that nobody used for `age` ticks before the tick `now`, until their
  /// memory sums up to `wanted`, and marks them as chosen. An actor that is chosen has nothing to
  /// come: all it was sent is staged. One thread, that of drop_idle().
  void choose_idle(std::uint32_t now, std::uint32_t age, std::int64_t wanted,
                   std::vector<finished_actor>& chosen);
  /// As drop_idle(), for those that were chosen.
  void drop_chosen(std::span<const finished_actor> chosen);

  /// Drops all actors.
  void clear() noexcept;

  [[nodiscard]] std::uint64_t size() const noexcept {
    return size_.load(std::memory_order_relaxed);
  }

private:
  struct hash_of {
    std::size_t operator()(const mailbox* one) const noexcept { return one->stream().hash(); }
  };
  struct same_stream {
    using is_transparent = void;
    bool operator()(const mailbox* left, const mailbox* right) const noexcept {
      return left == right;
    }
    bool operator()(const mailbox* left, const stream_id& right) const noexcept {
      return left->stream().is(right);
    }
    bool operator()(const stream_id& left, const mailbox* right) const noexcept {
      return right->stream().is(left);
    }
  };
  using mailboxes = tsl::robin_set<mailbox*, hash_of, same_stream, std::allocator<mailbox*>, true>;
  struct alignas(64) shard {
    std::mutex mutex;
    mailboxes of;
  };

  [[nodiscard]] shard& shard_of(std::uint64_t hash) noexcept { return shards_[hash >> 58U]; }

  template <class Request>
  void send_anyway(const category_entry& category, const stream_id& stream,
                   std::unique_ptr<Request> request);
  [[nodiscard]] mailbox& find_or_start(shard& in, const category_entry& category,
                                       const stream_id& stream, std::uint64_t hash);

  void drop(std::span<const finished_actor> finished, bool chosen);

  core& core_;
  actor_host& host_;
  std::size_t next_shard_ = 0; ///< Of choose_idle().
  std::array<shard, 64> shards_;
  // Of drop_idle(), memory kept.
  std::array<std::vector<finished_actor>, 64> of_shard_;
  std::vector<mailbox*> dropped_;
  std::atomic<std::uint64_t> size_{0};
};

} // namespace acta::runtime
