#pragma once

#include <acta/projections/handlers.hpp>
#include <acta/projections/projection.hpp>
#include <acta/projections/sqlite/database.hpp>
#include <acta/projections/sqlite/store.hpp>

#include <chrono>
#include <concepts>
#include <filesystem>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace acta::projections {

/// A read model that is kept in SQLite: it says how its tables are created, and its handlers are
/// given the database besides. It keeps nothing itself: a step that fails is rolled back.
template <class Model>
concept sqlite_model = read_model<Model> && requires(sqlite::database& to) {
  { Model::create(to) } -> std::same_as<result<void>>;
};

/// What read() returns: what `Look` does, as a result.
template <class Found>
struct as_result {
  using type = result<Found>;
};
template <class Found>
struct as_result<result<Found>> {
  using type = result<Found>;
};

/// What is the same of the sqlite_views of all models and versions: how they are read. Two versions
/// of a model are two types, so this is what a served_view of them is of.
class any_sqlite_view : public projection {
public:
  /// Empty before attach().
  [[nodiscard]] std::filesystem::path file() const { return store_.file(); }

  /// Calls `look` with the view as of one position. An error, if it cannot be read; else what
  /// `look` returns, which must not point into rows. A look that goes on for long keeps the
  /// write-ahead log growing. What it throws is thrown on.
  template <std::invocable<const sqlite::reader&> Look>
  auto read(Look&& look) const ->
    typename as_result<std::invoke_result_t<Look&, const sqlite::reader&>>::type {
    using found_type = std::invoke_result_t<Look&, const sqlite::reader&>;
    if constexpr (std::is_void_v<found_type>) {
      return store_.read([&](const sqlite::reader& now) { look(now); });
    } else {
      std::optional<found_type> found;
      auto done = store_.read([&](const sqlite::reader& now) { found.emplace(look(now)); });
      if (!done)
        return failure(done);
      return std::move(*found);
    }
  }

  /// The same once the view has reached a position, or an error: see progress::wait_for().
  template <std::invocable<const sqlite::reader&> Look>
  auto read(log_position at_least, std::chrono::nanoseconds within, Look&& look) const
    -> decltype(read(std::forward<Look>(look))) {
    if (auto there = progress().wait_for(at_least, within, name()); !there)
      return failure(there);
    return read(std::forward<Look>(look));
  }

  [[nodiscard]] result<void> clear() override { return store_.clear(); }
  [[nodiscard]] result<std::vector<dead_letter>> dead_letters() const override {
    return store_.dead_letters();
  }
  [[nodiscard]] std::optional<storage::view_identity> stored_as() const override {
    return store_.which();
  }
  void remove_at_end() noexcept override { store_.remove_at_end(); }

protected:
  any_sqlite_view(storage::view_identity which, sqlite::creator create)
      : store_(std::move(which), create) {}

  sqlite::store store_;
};

/// A read model in SQLite: tables, indices, full-text search (FTS5), in a file that survives the
/// process and that others may read with any SQLite: docs/sqlite-views.md has what is in it.
///
///     struct revenue {
///       static constexpr std::string_view name = "revenue";
///       static constexpr std::uint32_t version = 1;
///       using events = domain::event_list<order_placed>;
///
///       static result<void> create(sqlite::database& to) {
///         return to.script("create table revenue (day integer primary key, cents integer)
///         strict");
///       }
///       result<void> on(const order_placed& event, const storage::record_view& record,
///                       sqlite::database& to) {
///         return to.run("insert into revenue values (?1, ?2) on conflict (day) "
///                       "do update set cents = cents + excluded.cents",
///                       {record.header().recorded_at_ns / day_ns, event.total()});
///       }
///     };
///     projections::sqlite_view<revenue> view;
///     auto following = projections::projector::start(*engine, view);
///     auto today = view.read(receipt.position, 1s, [&](const sqlite::reader& now) {
///       return now.first("select cents from revenue where day = ?1", {day},
///                        [](const sqlite::row& found) { return found.integer(0); });
///     });
///
/// Operation: a step is one transaction of data, checkpoint and dead letters. The file is
/// `<store>/views/<name>@<version>/view.sqlite`, a part's `.../<name>@<version>.<k>of<n>/`; of a
/// log that has no directory to write in, one in the temporary folder, which goes with the view.
/// Threads: read() and dead_letters() from any, each with a connection of its own, waiting neither
/// for the writer nor for each other; the others as projection says.
/// Durability: write-ahead log, synced at its checkpoints: a power loss takes the last steps, and
/// the view goes on behind what is left.
/// Errors: attach() refuses a file that is not of this store, name, version and part
/// (foreign_store, newer_format, corrupt), or ahead of the log; further those of sqlite::reader.
/// Each names the file. What the handlers' statements fail with is an error of their event, unless
/// it is the file's: then of none, so that a full disk makes no dead letters.
template <sqlite_model Model>
class sqlite_view final : public any_sqlite_view {
public:
  explicit sqlite_view(Model model = Model(), view_part part = {})
      : any_sqlite_view({.name = std::string(Model::name),
                         .version = Model::version,
                         .part = part.part,
                         .parts = part.parts},
                        &Model::create),
        model_(std::move(model)), part_(part) {}

  [[nodiscard]] std::string_view name() const noexcept override { return Model::name; }
  [[nodiscard]] std::uint32_t version() const noexcept override { return Model::version; }
  [[nodiscard]] result<storage::scan_options> attach(const storage::event_log& log) override {
    auto left = store_.attach(log);
    if (!left)
      return failure(left);
    progress().move_to(*left);
    return handlers_.attach(log, part_);
  }

  [[nodiscard]] step_result apply(const view_step& step) override {
    return store_.apply(
      step, [&](sqlite::database& to) { return handlers_.apply(model_, step.records, to); });
  }

private:
  Model model_;
  const view_part part_;
  handlers<Model, sqlite::database> handlers_;
};

} // namespace acta::projections
