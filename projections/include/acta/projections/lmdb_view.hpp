#pragma once

#include <acta/projections/handlers.hpp>
#include <acta/projections/projection.hpp>
#include <acta/projections/tables.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace acta::projections {

namespace detail {

/// What is the same of every lmdb_view.
class tables_on_disk {
public:
  explicit tables_on_disk(storage::view_identity which) noexcept : which_(std::move(which)) {}
  ~tables_on_disk();
  tables_on_disk(const tables_on_disk&) = delete;
  tables_on_disk& operator=(const tables_on_disk&) = delete;

  [[nodiscard]] result<log_position> open(const storage::event_log& log);
  using reading = std::function<void(const table_reader&)>;
  [[nodiscard]] result<void> read(const reading& look) const;
  using handling = std::function<result<void>(table_writer&)>;
  [[nodiscard]] result<void> write(const view_step& step, const handling& handle);
  [[nodiscard]] result<void> clear();
  [[nodiscard]] result<std::vector<dead_letter>> dead_letters() const;
  [[nodiscard]] const storage::view_identity& which() const noexcept { return which_; }
  void remove_at_end() noexcept { is_replaced_.store(true, std::memory_order_relaxed); }

private:
  [[nodiscard]] result<std::shared_ptr<storage::view_file>> file() const;
  [[nodiscard]] result<void> try_to_clear();
  [[nodiscard]] result<void> begin_anew();

  const storage::view_identity which_;
  mutable std::mutex mutex_; ///< For who reads while it is attached.
  std::shared_ptr<storage::view_file> file_;
  const storage::event_log* log_ = nullptr; ///< That it was opened beside.
  std::filesystem::path directory_;         ///< Of the file, there or not.
  std::atomic<bool> is_replaced_{false};
};

} // namespace detail

/// What is the same of the lmdb_views of all models and versions: how they are read. Two versions
/// of a model are two types, so this is what a served_view of them is of.
class any_lmdb_view : public projection {
public:
  /// Calls `look` with the newest state, and returns what that returns, which must not point into
  /// it; or the first error there was. While it runs, the file keeps that state's pages.
  template <class Look>
  auto read(Look&& look) const -> result<std::invoke_result_t<Look, const table_reader&>> {
    using answer = std::invoke_result_t<Look, const table_reader&>;
    if constexpr (std::is_void_v<answer>) {
      return tables_.read(look);
    } else {
      std::optional<answer> given;
      auto done = tables_.read([&](const table_reader& now) { given.emplace(look(now)); });
      if (!done)
        return failure(done);
      return std::move(*given);
    }
  }

  /// The same once the view has reached a position, or an error: see progress::wait_for().
  template <class Look>
  auto read(log_position at_least, std::chrono::nanoseconds within, Look&& look) const
    -> result<std::invoke_result_t<Look, const table_reader&>> {
    if (auto there = progress().wait_for(at_least, within, name()); !there)
      return failure(there);
    return read(std::forward<Look>(look));
  }

  [[nodiscard]] result<void> clear() override { return tables_.clear(); }
  [[nodiscard]] result<std::vector<dead_letter>> dead_letters() const override {
    return tables_.dead_letters();
  }
  [[nodiscard]] std::optional<storage::view_identity> stored_as() const override {
    return tables_.which();
  }
  void remove_at_end() noexcept override { tables_.remove_at_end(); }

protected:
  explicit any_lmdb_view(storage::view_identity which) noexcept : tables_(std::move(which)) {}

  detail::tables_on_disk tables_;
};

/// A read model on disk, in `<store>/views/<name>@<version>`: tables in LMDB, which are there again
/// when the store is opened, with the checkpoint of the same transaction. Readers, on any thread,
/// never wait, and see all tables as of one position of the log.
///
/// The model holds no data of its own; what it writes to is given to its handlers:
///
///     struct revenue {
///       static constexpr std::string_view name = "revenue";
///       static constexpr std::uint32_t version = 1;
///       using events = domain::event_list<order_placed>;
///       static constexpr projections::ordered_table<std::uint32_t, std::int64_t> cents{1};
///
///       void on(const order_placed& event, const storage::record_view&,
///               projections::table_writer& tables) {
///         const auto before = tables.get(cents, event.customer()).value_or(0);
///         tables.put(cents, event.customer(), before + event.total());
///       }
///     };
///     projections::lmdb_view<revenue> view;
///     auto following = projections::projector::start(*engine, view);
///     auto one = view.read([](const auto& now) { return now.get(revenue::cents, 42); });
///
/// Errors, durability and limits: storage::view_file. A store that fails is no event's fault: a
/// step that fails so names none. Handlers with a key or a value that is too large are at fault.
/// Lifecycle: the log must outlive all steps; reads may follow its end.
template <read_model Model>
class lmdb_view final : public any_lmdb_view {
public:
  explicit lmdb_view(view_part which = {})
      : any_lmdb_view({.name = std::string(Model::name),
                       .version = Model::version,
                       .part = which.part,
                       .parts = which.parts}),
        part_(which) {}

  [[nodiscard]] std::string_view name() const noexcept override { return Model::name; }
  [[nodiscard]] std::uint32_t version() const noexcept override { return Model::version; }

  [[nodiscard]] result<storage::scan_options> attach(const storage::event_log& log) override {
    auto opened = tables_.open(log);
    if (!opened)
      return failure(opened);
    progress().move_to(*opened);
    return handlers_.attach(log, part_);
  }

  [[nodiscard]] step_result apply(const view_step& step) override {
    auto failed = step.records.size();
    auto done = tables_.write(step, [&](table_writer& tables) -> result<void> {
      for (std::size_t i = 0; i < step.records.size(); ++i) {
        auto handled = handlers_.apply(model_, step.records.subspan(i, 1), tables);
        const auto& kept = tables.status();
        if (!kept ? kept.error().code() == errc::too_large : !handled)
          failed = i;
        if (!kept)
          return kept;
        if (!handled)
          return std::unexpected(std::move(handled.error().why));
      }
      return {};
    });
    if (!done)
      return std::unexpected(failed_step{std::move(done.error()), failed});
    return {};
  }

private:
  Model model_;
  handlers<Model, table_writer> handlers_;
  const view_part part_;
};

} // namespace acta::projections
