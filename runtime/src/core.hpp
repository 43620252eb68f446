#pragma once

#include "staging.hpp"

#include <acta/base/clock.hpp>
#include <acta/runtime/detail/aggregate_type.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/runtime/upcasters.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/stream_index.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace acta::runtime {

/// An aggregate type as this store knows it.
struct category_entry {
  const void* tag = nullptr;
  std::unique_ptr<detail::aggregate_type> type;
  category_id id;
  std::vector<event_type_id> event_ids; ///< By index in Aggregate::events.

  /// The index of an event type; none if it is not this aggregate's.
  [[nodiscard]] std::optional<std::size_t> index_of(event_type_id event) const noexcept {
    for (std::size_t i = 0; i < event_ids.size(); ++i)
      if (event_ids[i] == event)
        return i;
    return std::nullopt;
  }
};

class committer;

/// What the parts of an engine share. Made before the threads start and unchanged after, but for
/// the parts that are thread-safe themselves.
struct core {
  engine_options options;
  std::unique_ptr<storage::event_log> log;
  std::unique_ptr<storage::stream_index> index;
  runtime::upcasters upcasters;
  std::vector<category_entry> categories; // by position of the aggregate in engine::open<...>
  std::unique_ptr<runtime::committer> committer;

  [[nodiscard]] const category_entry* find(category_id id) const noexcept {
    for (const auto& one : categories)
      if (one.id == id)
        return &one;
    return nullptr;
  }
};

} // namespace acta::runtime
