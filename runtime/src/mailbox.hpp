#pragma once

#include <acta/base/ids.hpp>
#include <acta/runtime/detail/aggregate_type.hpp>

#include <cstdint>
#include <memory>

namespace acta::runtime {

/// The actor of one aggregate, as the registry sees it. Implemented in caf/.
class mailbox {
public:
  mailbox(const mailbox&) = delete;
  mailbox& operator=(const mailbox&) = delete;

  [[nodiscard]] virtual const stream_id& stream() const noexcept = 0;
  /// Puts a command behind those that wait. Lock-free; any thread.
  virtual void deliver(std::unique_ptr<detail::envelope> command) = 0;
  /// Gives up the registry's hold: the actor ends after what it is doing. Invalid after this.
  virtual void drop() noexcept = 0;

  /// Commands delivered. Guarded by the registry's lock of this stream.
  std::uint64_t sent = 0;

protected:
  mailbox() = default;
  ~mailbox() = default;
};

} // namespace acta::runtime
