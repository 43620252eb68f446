#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/domain/upcaster.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/record.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace acta::runtime {

/// Where records lie that were upcast, until clear(). Movable; used by one thread at a time.
class upcast_memory {
public:
  void clear() noexcept {
    records_.clear();
    bytes_.clear();
  }

private:
  friend class upcasters;
  std::vector<storage::record_view> records_; ///< What the last apply() returned.
  std::vector<std::unique_ptr<std::uint64_t[]>> bytes_;
  std::array<flatbuffers::FlatBufferBuilder, 2> builders_; ///< One reads what the other holds.
};

/// Events of a stream, and the memory of those that were upcast. Valid as long as the snapshot they
/// were read from.
struct history {
  std::vector<storage::record_view> records;
  upcast_memory memory;
};

/// Upcasters that were checked and know a store's event types. An engine has one, which its
/// aggregates, projectors and read() use; bind() makes one for who reads a log without an engine.
///
/// Threads: any number may apply() at a time, each with its own memory.
///
///     auto bound = runtime::upcasters::bind(my_upcasters(), *log);
///     auto now = bound->apply(records, memory); // what handlers see
class upcasters {
public:
  /// None: apply() returns what it gets.
  upcasters() = default;

  /// Errors are errc::invalid_argument and name the upcaster: a version of 0, a target of the same
  /// type that is not newer, no function, two for one type and version, upcasters that lead back to
  /// where they began, or to an event type that the log does not know. The types that engines
  /// opened the log with are known; an upcaster from one that is not does nothing.
  [[nodiscard]] static result<upcasters> bind(std::vector<domain::upcaster> list,
                                              const storage::event_log& log);

  [[nodiscard]] bool empty() const noexcept { return chains_.empty(); }
  /// Adds the event types that may be upcast to those that somebody wants (no types: all).
  void add_sources(std::vector<event_type_id>& wanted) const;

  /// What the records are now. Where no upcaster is for any, `records` itself; else a span that is
  /// valid until the next call with this memory: records without an upcaster as they are, those
  /// that were upcast in `memory`, with their positions, versions, dates, commands, keys and
  /// metadata, and without those that were dropped. Errors name position and event type: corrupt
  /// for a malformed payload, handler_failed for an upcaster that throws, too_large for what it
  /// made.
  [[nodiscard]] result<std::span<const storage::record_view>>
  apply(std::span<const storage::record_view> records, upcast_memory& memory) const;

private:
  /// From one stored type and version to what it is now.
  struct chain {
    std::uint16_t from_version = 0;
    std::vector<const domain::upcaster*> steps;
    event_type_id to; ///< 0: dropped.
  };

  [[nodiscard]] const chain* find(const storage::record_view& record) const noexcept;
  [[nodiscard]] static result<std::span<const std::byte>>
  convert(const chain& steps, const storage::record_view& record, upcast_memory& memory);
  [[nodiscard]] static result<void> apply(const chain& steps, const storage::record_view& record,
                                          upcast_memory& memory);

  std::unique_ptr<const std::vector<domain::upcaster>> list_; ///< The steps point into it.
  std::vector<std::vector<chain>> chains_;                    ///< By event type; short.
};

} // namespace acta::runtime
