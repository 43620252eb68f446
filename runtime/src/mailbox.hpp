#pragma once

#include "compact_stream.hpp"

#include <acta/base/ids.hpp>
#include <acta/runtime/detail/envelope.hpp>

#include <atomic>
#include <cstdint>
#include <memory>

namespace acta::runtime {

class hold_request;
class truncation_request;

/// The actor of one aggregate, as the registry sees it. Implemented in caf/.
class mailbox {
public:
  mailbox(const mailbox&) = delete;
  mailbox& operator=(const mailbox&) = delete;

  [[nodiscard]] const compact_stream& stream() const noexcept { return stream_; }
  /// Puts a command behind those that wait. Lock-free; any thread.
  virtual void deliver(std::unique_ptr<detail::envelope> command) = 0;
  virtual void deliver(std::unique_ptr<truncation_request> request) = 0;
  virtual void deliver(std::unique_ptr<hold_request> request) = 0;
  /// Has the actor, which paused before the first of those that wait, look at that again. Once for
  /// each time it paused; any thread.
  virtual void proceed() = 0;
  /// Gives up the registry's hold: the actor ends after what it is doing. Invalid after this.
  virtual void drop() noexcept = 0;

  /// Commands delivered. Guarded by the registry's lock of this stream.
  std::uint64_t sent = 0;
  /// Of these, those that the aggregate has taken up; rises one by one. Written by the worker that
  /// runs the actor.
  std::atomic<std::uint64_t> handled{0};
  /// True from before `handled` rises until the command is staged; released then. So who acquires
  /// it, after he found that all that was sent is handled, knows that nothing more is to come. Also
  /// tells readers, and tsan, that an aggregate's state is handed from thread to thread.
  std::atomic<bool> busy{false};
  bool chosen = false; ///< To be dropped by the housekeeper, whose this is; for passivation.

  // For passivation. The first two are written by the worker that runs the actor.
  std::atomic<std::uint32_t> used_at{0}; ///< At which tick of passivation it had a command last.
  std::atomic<std::uint32_t> memory_bytes{0};
  /// Numbers given as settlement::finished_after that the housekeeper has not seen yet: it will
  /// look at this actor for them.
  std::atomic<std::uint32_t> announced{0};

protected:
  explicit mailbox(const stream_id& stream) : stream_(stream) {}
  ~mailbox() = default;

private:
  compact_stream stream_;
};

} // namespace acta::runtime
