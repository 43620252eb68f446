#pragma once

#include <acta/base/ids.hpp>
#include <acta/runtime/detail/aggregate_type.hpp>

#include <cstdint>
#include <memory>

namespace acta::runtime {

class truncation_request;

/// The actor of one aggregate, as the registry sees it. Implemented in caf/.
class mailbox {
public:
  mailbox(const mailbox&) = delete;
  mailbox& operator=(const mailbox&) = delete;

  [[nodiscard]] const stream_id& stream() const noexcept { return stream_; }
  /// Puts a command behind those that wait. Lock-free; any thread.
  virtual void deliver(std::unique_ptr<detail::envelope> command) = 0;
  virtual void deliver(std::unique_ptr<truncation_request> request) = 0;
  /// Gives up the registry's hold: the actor ends after what it is doing. Invalid after this.
  virtual void drop() noexcept = 0;

  /// Commands delivered. Guarded by the registry's lock of this stream.
  std::uint64_t sent = 0;

protected:
  explicit mailbox(const stream_id& stream) noexcept : stream_(stream) {}
  ~mailbox() = default;

private:
  stream_id stream_;
};

} // namespace acta::runtime
