#pragma once

#include "callers.hpp"
#include "failures.hpp"
#include "staging.hpp"
#include "telemetry.hpp"

#include <acta/base/clock.hpp>
#include <acta/runtime/detail/aggregate_type.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/runtime/upcasters.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/snapshot_store.hpp>
#include <acta/storage/stream_index.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace acta::runtime {

struct core;

/// An aggregate type as this store knows it.
struct category_entry {
  core* shared = nullptr; ///< Whose this is: a million aggregates need no pointer to it each.
  const void* tag = nullptr;
  std::size_t index = 0; ///< In core::categories.
  std::unique_ptr<detail::aggregate_type> type;
  category_id id;
  std::vector<event_type_id> event_ids;   ///< By index in Aggregate::events.
  std::uint64_t snapshot_schema_hash = 0; ///< 0: there are no snapshots of it in this engine.
  std::unique_ptr<category_telemetry> telemetry = std::make_unique<category_telemetry>();

  /// The index of an event type; none if it is not this aggregate's.
  [[nodiscard]] std::optional<std::size_t> index_of(event_type_id event) const noexcept {
    for (std::size_t i = 0; i < event_ids.size(); ++i)
      if (event_ids[i] == event)
        return i;
    return std::nullopt;
  }
};

class committer;
class durability_gate;
class recovery_limit;
class snapshot_writer;
class timer_service;

/// What the parts of an engine share. Made before the threads start and unchanged after, but for
/// the parts that are thread-safe themselves.
struct core {
  engine_options options;
  runtime::failures failures{options};
  std::unique_ptr<storage::event_log> log;
  std::unique_ptr<storage::stream_index> index;
  runtime::upcasters upcasters;
  std::vector<category_entry> categories; // by position of the aggregate in engine::open<...>
  std::unique_ptr<runtime::snapshot_writer> snapshots; ///< If a category has any.
  event_type_id timer_event;                           ///< 0: no stream has timers.
  std::unique_ptr<runtime::timer_service> timers;      ///< If a category handles any.
  std::unique_ptr<runtime::committer> committer;
  std::unique_ptr<durability_gate> gate; ///< If the log is at durability `process`.
  std::unique_ptr<runtime::recovery_limit> recovery_limit; ///< If there are more workers than that.
  std::atomic<std::uint64_t> recoveries{0};
  std::atomic<std::uint64_t> recovery_failures{0};
  std::atomic<std::uint64_t> overloaded{0};
  std::atomic<std::uint64_t> passivated{0};
  std::atomic<std::int64_t> aggregate_memory{0}; ///< In bytes, of all live aggregates.
  std::size_t bytes_of_actor = 0;                ///< With its place in the registry.
  std::atomic<std::uint32_t> tick{0};            ///< Of passivation: what is used now is as old.
  runtime::callers callers;

  [[nodiscard]] const category_entry* find(category_id id) const noexcept {
    for (const auto& one : categories)
      if (one.id == id)
        return &one;
    return nullptr;
  }

  /// Reports what went wrong and was got round. Any thread.
  void warn(errc code, std::string message) const {
    if (options.warning)
      options.warning(error(code, std::move(message)));
  }
};

} // namespace acta::runtime
