#include "simulation.hpp"

#include "book_recorder.hpp"
#include "decimal.hpp"
#include "driver.hpp"
#include "generator.hpp"
#include "output_file.hpp"
#include "progress.hpp"
#include "run.hpp"
#include "shop_simulation.hpp"

#include <acta/projections/memory_view.hpp>
#include <acta/projections/order_book.hpp>
#include <acta/projections/projector.hpp>
#include <acta/projections/trade_tape.hpp>
#include <acta/runtime/engine.hpp>

#include <fmt/format.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace acta::sim {

namespace {

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
    auto store = open_store(chosen_);
    if (!store)
      return failure(store);
    store_ = std::move(*store);
    auto decided = decided_commands::read(*store_.log, flow_.from->fingerprint());
    if (!decided)
      return failure(decided);
    decided_ = std::move(*decided);
    auto with = chosen_.engine;
    with.max_in_flight = 2 * chosen_.window;
    auto engine =
      runtime::engine::open<trading::limit_order, trading::instrument>(std::move(store_.log), with);
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
      return add_receipted(ran.error(), drive.results(), chosen_);
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
      if (auto there = sim::catch_up(*one, tail, [&] { show_progress(sent); }); !there)
        return there;
    return {};
  }

  [[nodiscard]] report make_report(const driver& drive) const {
    report made = begin_report(chosen_, flow_.name, drive.results(), *engine_, store_.directory);
    made.interrupted = interrupted_.load();
    made.rejections = names_of<trading::refusal>(drive.results().rejections);
    made.resumed = drive.left_out();
    if (flow_.feed != nullptr) {
      made.unknown_orders = flow_.feed->unknown_orders;
      made.taken_by_initial_book = flow_.feed->taken_by_initial_book;
    }
    for (const auto& one : projectors_)
      made.projections.push_back(state_of(*one, made.log_events));
    made.resting_orders = book_.read([](const auto& book) { return book.resting_count(); });
    for (const auto instrument : instruments()) {
      const auto depth = depth_of(instrument);
      made.bid_levels += depth.bids.size();
      made.ask_levels += depth.asks.size();
    }
    made.trades = tape_.read([](const auto& tape) { return tape.totals(); });
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
  run_store store_;
  decided_commands decided_;
  projections::memory_view<projections::order_book> book_;
  projections::memory_view<projections::trade_tape> tape_;
  std::optional<book_recorder> recorder_;
  std::unique_ptr<runtime::engine> engine_;
  std::vector<std::unique_ptr<projections::projector>> projectors_;
};

} // namespace

result<report> simulate(const options& chosen, const std::atomic<bool>& interrupted) {
  if (chosen.feed == feed_kind::olist)
    return simulate_shop(chosen, interrupted);
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
