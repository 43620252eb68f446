#include "options.hpp"

#include "thread_options.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>
#include <utility>

namespace acta::sim {

namespace {

constexpr std::string_view description =
  "acta-sim: order flow through one actor per order, into a durable log: a market's, into an "
  "order\n"
  "book, or a shop's.\n"
  "Without arguments it makes 1,000,000 orders and measures.";

constexpr std::string_view examples = R"(Examples:
  acta-sim
      a seeded run of 1,000,000 orders; every receipt is synced to disk first
  acta-sim --orders 100000 --durability memory --json -
      a short run without a disk; the figures as JSON on standard output
  acta-sim --feed mbo:mbo.csv --window 1 --book-out book.csv --final-book final.csv
      a recorded Databento MBO feed, and the book after each of its records
  acta-sim --feed lobster:message_50.csv --initial-book orderbook_10.csv
      a recorded LOBSTER feed that starts from a book
  acta-sim --feed olist:DIR
      the orders of a marketplace, from the CSV files of the Olist data set in DIR
  acta-sim --orders 0 --store DIR --final-book final.csv
      the book of a store that is there, built again from its log

A run that was cut short goes on when it is started again with the same arguments and --store.
Exit status: 0 done; 1 the run failed; 2 wrong arguments; 130 interrupted (what was sent is stored).
)";

void add_source_options(CLI::App& app, options& to, std::string& feed) {
  const std::string group = "Order flow";
  auto* orders = app.add_option("--orders", to.orders, "Orders to generate")
                   ->type_name("N")
                   ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1} << 40U))
                   ->capture_default_str();
  auto* seed = app.add_option("--seed", to.seed, "Seed of the generator")
                 ->type_name("S")
                 ->capture_default_str();
  auto* instruments =
    app.add_option("--instruments", to.instruments, "Instruments to generate for")
      ->type_name("K")
      ->check(CLI::Range(1U, 100'000U))
      ->capture_default_str();
  auto* recorded = app
                     .add_option("--feed", feed,
                                 "A recorded feed instead: mbo:FILE (Databento MBO, CSV), "
                                 "lobster:FILE or olist:DIR (a shop's)")
                     ->type_name("KIND:PATH")
                     ->excludes(orders)
                     ->excludes(seed)
                     ->excludes(instruments);
  auto* initial = app
                    .add_option("--initial-book", to.initial_book,
                                "LOBSTER order book whose first row the feed starts from")
                    ->type_name("FILE")
                    ->needs(recorded);
  auto* skip = app
                 .add_option("--skip-order", to.skipped_orders,
                             "Leave an order of the feed out; may be repeated")
                 ->type_name("ID")
                 ->needs(recorded);
  for (auto* option : {orders, seed, instruments, recorded, initial, skip})
    option->group(group);
}

void add_engine_options(CLI::App& app, options& to, std::string& durability_name) {
  const std::string group = "Engine";
  auto* durability =
    app
      .add_option(
        "--durability", durability_name,
        "What a receipt means: power (synced to disk), process (synced in the background) "
        "or memory (gone with the process)")
      ->type_name("power|process|memory")
      ->check(CLI::IsMember({"power", "process", "memory"}).description(""))
      ->capture_default_str();
  auto* store = app
                  .add_option("--store", to.store,
                              "Directory of the store; without it a temporary one, removed at the "
                              "end")
                  ->type_name("DIR");
  auto* window = app
                   .add_option("--window", to.window,
                               "Commands not yet acknowledged, at most; 1 keeps the log in the "
                               "order of the feed")
                   ->type_name("N")
                   ->check(CLI::Range(1U, 1'000'000U))
                   ->capture_default_str();
  auto all = add_thread_options(app, to.engine);
  all.insert(all.end(), {durability, store, window});
  for (auto* option : all)
    option->group(group);
}

void add_output_options(CLI::App& app, options& to) {
  const std::string group = "Output";
  auto* book_out = app
                     .add_option("--book-out", to.book_out,
                                 "CSV: the ten best levels after each feed record that changed "
                                 "the book")
                     ->type_name("FILE")
                     ->needs("--feed");
  auto* final_book =
    app.add_option("--final-book", to.final_book, "CSV: every level at the end")->type_name("FILE");
  auto* json = app.add_option("--json", to.json, "The figures as JSON; - is standard output")
                 ->type_name("FILE");
  auto* quiet = app.add_flag("--quiet", to.quiet, "No progress and no table");
  for (auto* option : {book_out, final_book, json, static_cast<CLI::Option*>(quiet)})
    option->group(group);
}

/// Splits "mbo:FILE"; what is wrong, or empty.
[[nodiscard]] std::string read_feed(const std::string& text, options& to) {
  static constexpr std::array<std::pair<std::string_view, feed_kind>, 3> kinds{
    {{"mbo:", feed_kind::mbo}, {"lobster:", feed_kind::lobster}, {"olist:", feed_kind::olist}}};
  for (const auto& [prefix, kind] : kinds)
    if (text.starts_with(prefix) && text.size() > prefix.size()) {
      to.feed = kind;
      to.feed_file = text.substr(prefix.size());
      return {};
    }
  return fmt::format("--feed: '{}' is neither mbo:FILE, lobster:FILE nor olist:DIR", text);
}

[[nodiscard]] std::string check_together(const options& chosen) {
  if (!chosen.initial_book.empty() && chosen.feed != feed_kind::lobster)
    return "--initial-book: only a lobster feed starts from a book";
  if (chosen.feed == feed_kind::olist) {
    if (!chosen.skipped_orders.empty())
      return "--skip-order: only orders of a market's feed are left out";
    if (!chosen.book_out.empty() || !chosen.final_book.empty())
      return fmt::format("{}: a shop has no order book",
                         chosen.book_out.empty() ? "--final-book" : "--book-out");
  }
  std::vector<std::filesystem::path> files;
  for (const auto& file : {chosen.book_out, chosen.final_book,
                           std::filesystem::path(chosen.json == "-" ? "" : chosen.json)}) {
    if (!file.empty() && std::ranges::find(files, file) != files.end())
      return fmt::format("'{}' is named for two outputs; give each a file of its own",
                         file.string());
    files.push_back(file);
  }
  if (!chosen.store.empty() && chosen.durability == storage::durability::memory)
    return "--store: with --durability memory nothing is stored; leave one of them out";
  return {};
}

[[nodiscard]] exit_now wrong(std::string_view what) {
  fmt::print(stderr, "acta-sim: {}\nRun 'acta-sim --help' for the arguments.\n", what);
  return {2};
}

} // namespace

std::variant<options, exit_now> parse_options(int argc, const char* const* argv) {
  options chosen;
  std::string feed;
  std::string durability_name = "power";
  CLI::App app(std::string(description), "acta-sim");
  app.set_version_flag("--version", "acta-sim " ACTA_VERSION)->description("Print the version");
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::Throw);
  app.footer(std::string(examples));
  app.get_formatter()->column_width(34);
  add_source_options(app, chosen, feed);
  add_engine_options(app, chosen, durability_name);
  add_output_options(app, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) { // --help, --version
    return exit_now{app.exit(asked)};
  } catch (const CLI::ParseError& error) {
    return wrong(error.what());
  }
  for (const auto level : {storage::durability::process, storage::durability::memory})
    if (durability_name == storage::name(level))
      chosen.durability = level;
  if (app.count("--feed") != 0)
    if (const auto problem = read_feed(feed, chosen); !problem.empty())
      return wrong(problem);
  if (const auto problem = check_together(chosen); !problem.empty())
    return wrong(problem);
  return chosen;
}

} // namespace acta::sim
