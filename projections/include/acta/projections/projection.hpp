#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/projections/dead_letter.hpp>
#include <acta/projections/progress.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/view_file.hpp>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace acta::projections {

/// Which streams a view has: those whose stream_hash() is `part` modulo `parts`. Parts of a view
/// are views with a projector, thus a thread, of their own.
struct view_part {
  std::uint32_t part = 0;
  std::uint32_t parts = 1;
};

/// What is done to a view in one transaction: all of it, or nothing.
struct view_step {
  /// To be handled, as they are now, upcast, in the order of the log.
  std::span<const storage::record_view> records{};
  /// The checkpoint: everything up to here was looked at. May be behind the last of the records, as
  /// others are of no interest to the view.
  log_position reached{};
  /// Events that could not be handled, to be kept with the view.
  std::span<const dead_letter> dead{};
  /// The position of a dead letter that is dead no more; 0: none.
  log_position revived{};
  /// Positions behind `reached` that the log has already, and whose steps follow at once.
  std::uint64_t left = 0;
};

/// Why a step was not done, and at which of its records: records.size() if at none of them.
struct failed_step {
  error why;
  std::size_t at = 0;
};
using step_result = std::expected<void, failed_step>;

/// A read model, built from the log, in the store that keeps it (memory_view, lmdb_view,
/// sqlite_view). A projector feeds it, or replay(); whoever reads it asks the view itself.
///
/// Threads: what changes it (attach(), apply(), clear()) is called by one thread at a time.
class projection {
public:
  projection(const projection&) = delete;
  projection& operator=(const projection&) = delete;
  virtual ~projection() = default;

  /// Of the model: [a-z0-9_], as it names files. One that is built otherwise has another version.
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  [[nodiscard]] virtual std::uint32_t version() const noexcept = 0;

  /// Opens what it is kept in and returns what it wants of the log, which is all that a projector
  /// reads: the store's numbers of its event types, and its part of the streams. Then progress()
  /// says where it was left. Errors name the file and what to do; corrupt where it is ahead of the
  /// log, or another's.
  [[nodiscard]] virtual result<storage::scan_options> attach(const storage::event_log& log) = 0;

  /// Does a step, or nothing of it. Exceptions of handlers are errc::handler_failed. Durability: of
  /// the store; after a crash the view is as after some step, with that step's checkpoint.
  [[nodiscard]] virtual step_result apply(const view_step& step) = 0;

  /// Whether readers see what apply() did. Where much is left, a view may show several steps at
  /// once: a step that fails then takes those back that were not shown. One with nothing left is.
  [[nodiscard]] virtual bool is_shown() const noexcept { return true; }

  /// Empties it: the checkpoint is 0, and there are no dead letters.
  [[nodiscard]] virtual result<void> clear() = 0;

  /// Oldest first. Any thread.
  [[nodiscard]] virtual result<std::vector<dead_letter>> dead_letters() const = 0;

  /// What it is called in its store's `views`, if that is where it is kept.
  [[nodiscard]] virtual std::optional<storage::view_identity> stored_as() const { return {}; }
  /// Another version serves in its place: when it ends, its files are removed. Any thread.
  virtual void remove_at_end() noexcept {}

  /// How far it is, for whoever reads it and whoever feeds it.
  [[nodiscard]] projections::progress& progress() const noexcept { return progress_; }
  [[nodiscard]] log_position position() const noexcept { return progress_.position(); }

protected:
  projection() = default;

private:
  mutable projections::progress progress_;
};

} // namespace acta::projections
