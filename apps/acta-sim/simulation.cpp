#include "simulation.hpp"

#include "book_recorder.hpp"
#include "decimal.hpp"
#include "driver.hpp"
#include "generator.hpp"
#include "output_file.hpp"
#include "progress.hpp"

#include <acta/projections/memory_view.hpp>
#include <acta/projections/order_book.hpp>
#include <acta/projections/projector.hpp>
#include <acta/projections/trade_tape.hpp>
#include <acta/runtime/engine.hpp>

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace acta::sim {

namespace {

using seconds = std::chrono::duration<double>;

/// A directory that is gone when this is.
class temporary_directory {
public:
  [[nodiscard]] static result<std::unique_ptr<temporary_directory>> make() {
    std::error_code code;
    auto pattern = (std::filesystem::temp_directory_path(code) / "acta-sim-XXXXXX").string();
    if (code || ::mkdtemp(pattern.data()) == nullptr)
      return failure(errc::io, fmt::format("'{}': no temporary directory can be made: {}; name one "
                                           "with --store, or set TMPDIR",
                                           pattern, std::generic_category().message(errno)));
    return std::unique_ptr<temporary_directory>(new temporary_directory(pattern));
  }
  ~temporary_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
  explicit temporary_directory(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

/// The order flow, and what is behind it.
struct flow {
  std::unique_ptr<recorded_feed> feed; ///< Empty for the generator.
  std::unique_ptr<source> from;
  std::string name;
};

/// From all that decides what the commands are: the file, the initial book, the orders left out.
[[nodiscard]] std::uint64_t fingerprint_of(const recorded_feed& feed, const options& chosen) {
  auto hash = XXH3_64bits(feed.text->data(), feed.text->size());
  for (const auto& one : feed.steps) {
    const auto* order = std::get_if<trading::limit_order::command>(&one.what);
    const auto* entered = order == nullptr ? nullptr : std::get_if<trading::submit>(order);
    if (one.record != 0 || entered == nullptr)
      break;
    const std::array<std::int64_t, 2> level{entered->price, entered->quantity};
    hash = XXH3_64bits_withSeed(level.data(), sizeof level, hash);
  }
  for (const auto order : chosen.skipped_orders)
    hash = XXH3_64bits_withSeed(&order, sizeof order, hash);
  return hash | 1U;
}

[[nodiscard]] result<flow> open_flow(const options& chosen) {
  flow made;
  if (chosen.feed == feed_kind::generator) {
    made.from = std::make_unique<generator>(chosen.orders, chosen.seed, chosen.instruments);
    made.name = fmt::format("generator: {} orders, seed {}, {} instruments", chosen.orders,
                            chosen.seed, chosen.instruments);
    return made;
  }
  const bool mbo = chosen.feed == feed_kind::mbo;
  auto feed = mbo ? read_mbo(chosen.feed_file, chosen.skipped_orders)
                  : read_lobster(chosen.feed_file, chosen.initial_book, chosen.skipped_orders);
  if (!feed)
    return failure(feed);
  made.feed = std::make_unique<recorded_feed>(std::move(*feed));
  made.from = std::make_unique<recorded_source>(*made.feed, fingerprint_of(*made.feed, chosen));
  made.name = fmt::format("{}:{}", mbo ? "mbo" : "lobster", chosen.feed_file.string());
  return made;
}

/// The files asked for, opened before anything runs.
struct outputs {
  std::optional<output_file> book;
  std::optional<output_file> final_book;
};

[[nodiscard]] result<outputs> open_outputs(const options& chosen) {
  outputs opened;
  const auto open = [](const std::filesystem::path& path,
                       std::optional<output_file>& to) -> result<void> {
    if (path.empty())
      return {};
    auto file = output_file::create(path);
    if (!file)
      return failure(file);
    to.emplace(std::move(*file));
    return {};
  };
  if (auto done = open(chosen.book_out, opened.book); !done)
    return failure(done);
  if (auto done = open(chosen.final_book, opened.final_book); !done)
    return failure(done);
  return opened;
}

/// An engine, its read models, and the run on them. Members are destroyed in the reverse order:
/// projectors before the engine, the engine before the temporary directory.
class simulation {
public:
  simulation(const options& chosen, flow& flow, const std::atomic<bool>& interrupted)
      : chosen_(chosen), flow_(flow), interrupted_(interrupted), progress_(!chosen.quiet) {}

  [[nodiscard]] result<void> open(outputs& files) {
    auto log = open_store();
    if (!log)
      return failure(log);
    auto decided = decided_commands::read(**log, flow_.from->fingerprint());
    if (!decided)
      return failure(decided);
    decided_ = std::move(*decided);
    auto with = chosen_.engine;
    with.max_in_flight = 2 * chosen_.window;
    auto engine =
      runtime::engine::open<trading::limit_order, trading::instrument>(std::move(*log), with);
    if (!engine)
      return failure(engine);
    engine_ = std::move(*engine);
    if (files.book)
      recorder_.emplace(*flow_.feed, flow_.from->fingerprint(), std::move(*files.book));
    if (auto started = start(book_); !started)
      return started;
    if (auto started = start(tape_); !started)
      return started;
    return recorder_ ? start(*recorder_) : result<void>{};
  }

  [[nodiscard]] result<report> run(outputs& files) {
    driver drive({.engine = *engine_,
                  .from = *flow_.from,
                  .decided = decided_,
                  .book = book_,
                  .book_projector = *projectors_.front(),
                  .window = chosen_.window,
                  .interrupted = interrupted_,
                  .on_progress = [&] { show_progress(drive.sent()); }});
    const auto started = std::chrono::steady_clock::now();
    auto ran = drive.run();
    const auto sent = std::chrono::steady_clock::now();
    auto current = ran ? catch_up(drive.sent()) : result<void>{};
    const auto caught_up = std::chrono::steady_clock::now();
    progress_.clear();
    engine_->stop(); // the committer may still be on its way out of `drive`
    if (!ran)
      return add_receipted(ran.error(), drive.results());
    if (!current)
      return failure(current);
    report made = make_report(drive);
    made.elapsed_s = seconds(sent - started).count();
    made.catch_up_s = seconds(caught_up - sent).count();
    projectors_.clear();
    if (recorder_)
      if (auto done = recorder_->finish(); !done)
        return failure(done);
    if (files.final_book)
      if (auto done = write_final_book(*files.final_book); !done)
        return failure(done);
    return made;
  }

private:
  [[nodiscard]] result<std::unique_ptr<storage::event_log>> open_store() {
    if (chosen_.durability == storage::durability::memory)
      return storage::make_memory_log();
    directory_ = chosen_.store;
    if (chosen_.feed == feed_kind::generator && chosen_.orders == 0 && !directory_.empty()
        && !std::filesystem::exists(directory_ / "log" / "data.mdb"))
      return failure(errc::not_found,
                     fmt::format("'{}' holds no store; --orders 0 rebuilds the book of one that is "
                                 "there",
                                 directory_.string()));
    if (directory_.empty()) {
      auto made = temporary_directory::make();
      if (!made)
        return failure(made);
      temporary_ = std::move(*made);
      directory_ = temporary_->path();
    }
    return storage::open_log(directory_, {.durability = chosen_.durability});
  }

  [[nodiscard]] result<void> start(projections::projection& view) {
    auto started = projections::projector::start(*engine_, view);
    if (!started)
      return failure(started);
    projectors_.push_back(std::move(*started));
    return {};
  }

  [[nodiscard]] std::vector<std::uint32_t> instruments() const {
    return book_.read([](const auto& book) { return book.instruments(); });
  }
  [[nodiscard]] projections::book_depth depth_of(std::uint32_t instrument) const {
    return book_.read([&](const auto& book) { return book.depth(instrument); });
  }

  [[nodiscard]] std::uint64_t lag() const {
    const auto tail = engine_->log().tail().value();
    std::uint64_t most = 0;
    for (const auto& one : projectors_)
      most = std::max(most, tail - std::min(tail, one->position().value()));
    return most;
  }

  void show_progress(std::uint64_t sent) {
    if (progress_.is_due())
      progress_.update(flow_.from->progress(), sent, "commands",
                       fmt::format("  lag {} events", lag()));
  }

  [[nodiscard]] result<void> catch_up(std::uint64_t sent) {
    const auto tail = engine_->log().tail();
    for (const auto& one : projectors_)
      for (;;) {
        auto reached = one->wait_for(tail, std::chrono::milliseconds(100));
        if (reached)
          break;
        if (reached.error().code() != errc::timed_out)
          return reached;
        show_progress(sent);
      }
    return {};
  }

  /// Says what is safe when a run fails.
  [[nodiscard]] std::unexpected<error> add_receipted(const error& why, const tally& results) const {
    return failure(
      why.code(), fmt::format("{} ({} events of {} commands have their receipts, and are stored{})",
                              why.message(), results.events, results.accepted,
                              chosen_.store.empty() ? " until this program ends"
                                                    : "; run the same again to go on"));
  }

  [[nodiscard]] report make_report(const driver& drive) const {
    const auto& results = drive.results();
    report made;
    made.feed = flow_.name;
    made.durability = storage::name(chosen_.durability);
    made.store = chosen_.store.string();
    made.interrupted = interrupted_.load();
    made.commands = results.accepted + results.rejected;
    made.accepted = results.accepted;
    made.rejected = results.rejected;
    for (std::size_t code = 0; code < tally::codes; ++code)
      if (results.rejections[code] != 0)
        made.rejections[std::string(name(static_cast<trading::refusal>(code)))] =
          results.rejections[code];
    made.resumed = drive.left_out();
    if (flow_.feed != nullptr) {
      made.unknown_orders = flow_.feed->unknown_orders;
      made.taken_by_initial_book = flow_.feed->taken_by_initial_book;
    }
    made.events = results.events;
    made.commits = engine_->counters().commits;
    made.log_events = engine_->log().tail().value();
    made.aggregates = results.streams;
    constexpr double per_us = 1'000;
    const auto percentile = [&](double percent) {
      return static_cast<double>(results.latency.percentile_ns(percent)) / per_us;
    };
    made.latency_us = {.p50 = percentile(50),
                       .p90 = percentile(90),
                       .p99 = percentile(99),
                       .p99_9 = percentile(99.9),
                       .max = percentile(100)};
    for (const auto& one : projectors_)
      made.projections.push_back({std::string(one->view().name()), one->position().value(),
                                  made.log_events - one->position().value()});
    made.resting_orders = book_.read([](const auto& book) { return book.resting_count(); });
    for (const auto instrument : instruments()) {
      const auto depth = depth_of(instrument);
      made.bid_levels += depth.bids.size();
      made.ask_levels += depth.asks.size();
    }
    made.trades = tape_.read([](const auto& tape) { return tape.totals(); });
    made.machine = this_machine(directory_);
    return made;
  }

  [[nodiscard]] result<void> write_final_book(output_file& to) const {
    const auto all = instruments();
    const bool several = all.size() > 1;
    to.write(several ? "instrument,side,price,size,orders\n" : "side,price,size,orders\n");
    for (const auto instrument : all) {
      const auto depth = depth_of(instrument);
      const auto write = [&](char side, const std::vector<projections::price_level>& levels) {
        for (const auto& level : levels)
          to.write(fmt::format("{}{},{},{},{}\n", several ? fmt::format("{},", instrument) : "",
                               side, price_text(level.price), level.quantity, level.orders));
      };
      write('B', depth.bids);
      write('A', depth.asks);
    }
    return to.finish();
  }

  const options& chosen_;
  flow& flow_;
  const std::atomic<bool>& interrupted_;
  apps::progress_line progress_;
  std::unique_ptr<temporary_directory> temporary_;
  std::filesystem::path directory_;
  decided_commands decided_;
  projections::memory_view<projections::order_book> book_;
  projections::memory_view<projections::trade_tape> tape_;
  std::optional<book_recorder> recorder_;
  std::unique_ptr<runtime::engine> engine_;
  std::vector<std::unique_ptr<projections::projector>> projectors_;
};

} // namespace

result<report> simulate(const options& chosen, const std::atomic<bool>& interrupted) {
  auto flow = open_flow(chosen);
  if (!flow)
    return failure(flow);
  auto files = open_outputs(chosen);
  if (!files)
    return failure(files);
  simulation job(chosen, *flow, interrupted);
  if (auto opened = job.open(*files); !opened)
    return failure(opened);
  return job.run(*files);
}

} // namespace acta::sim
