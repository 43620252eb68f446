#pragma once

#include <acta/base/clock.hpp>
#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/runtime/engine_options.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

namespace acta::runtime {

/// Tells engine_options::watch of failures, and keeps aggregates that could not be loaded from
/// being tried again at once. Any thread. Costs one load while nothing fails.
class failures {
public:
  explicit failures(const engine_options& options) noexcept : options_(options) {}

  void handler_failed(const stream_id& stream, const error& why) const;
  void commit_failed(const error& why) const;
  void recovery_failed(const stream_id& stream, const error& why);
  /// The aggregate was loaded, or removed.
  void recovered(const stream_id& stream);

  /// Why an aggregate is not to be loaded now.
  [[nodiscard]] std::optional<error> held_back(const stream_id& stream) const;

private:
  struct trouble {
    std::uint32_t attempts = 0;
    std::int64_t retry_at_ns = 0; ///< On the engine's clock.
    std::optional<error> why;
  };
  struct hash_of {
    std::size_t operator()(const stream_id& stream) const noexcept { return stream_hash(stream); }
  };

  const engine_options& options_;
  mutable std::mutex mutex_;
  std::unordered_map<stream_id, trouble, hash_of> troubles_; ///< limits::max_held_back of them.
  std::atomic<std::size_t> count_{0}; ///< Of troubles_. Seen late, an aggregate is tried once more.
};

} // namespace acta::runtime
