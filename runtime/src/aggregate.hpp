#pragma once

#include "core.hpp"

#include <acta/base/ids.hpp>
#include <acta/runtime/detail/aggregate_type.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace acta::runtime {

/// The state of one aggregate and what happens to a command that reaches it. Knows no actor: the
/// actor that owns it calls handle() with one command at a time, from whichever thread runs it.
class aggregate {
public:
  aggregate(core& shared, const category_entry& category, const stream_id& stream);
  ~aggregate();
  aggregate(const aggregate&) = delete;
  aggregate& operator=(const aggregate&) = delete;

  [[nodiscard]] const stream_id& stream() const noexcept { return stream_; }

  /// Loads the aggregate if need be, decides, evolves, and stages events and settlement.
  void handle(std::unique_ptr<detail::envelope> command) noexcept;

private:
  /// A command that stored events: enough to answer its repeat.
  struct remembered {
    command_id id;
    std::uint64_t version : 48; ///< After its last event.
    std::uint64_t events : 16;
  };
  class sink;

  [[nodiscard]] result<void> load();
  [[nodiscard]] result<void> load_events();
  void forget() noexcept;
  void remember(const command_id& id, std::uint64_t version, std::uint64_t events);
  [[nodiscard]] const remembered* find(const command_id& id) const noexcept;
  [[nodiscard]] settlement process(std::unique_ptr<detail::envelope> command, staging& to);
  [[nodiscard]] settlement decide(std::unique_ptr<detail::envelope> command, staging& to);
  [[nodiscard]] settlement accept(std::unique_ptr<detail::envelope> command, staging& to);
  [[nodiscard]] settlement fail(std::unique_ptr<detail::envelope> command, error why) const;

  core& core_;
  const category_entry& category_;
  stream_id stream_;
  void* state_ = nullptr; ///< Null until loaded.
  std::uint64_t version_ = 0;
  std::vector<remembered> recent_; ///< A ring once it holds options.repeat_window.
  std::uint32_t oldest_ = 0;
  /// Handed from thread to thread with the actor: acquired before and released after each command.
  /// The actor's mailbox orders this already; it is said here for readers and for tsan.
  std::atomic<std::uint32_t> turn_{0};
  std::uint64_t handled_ = 0;
};

} // namespace acta::runtime
