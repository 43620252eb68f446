// acta: takes care of stores, and shows what is in them. Run acta --help.
#include "commands.hpp"
#include "output.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <functional>
#include <string>

namespace {

using namespace acta::tool;

constexpr const char* examples = R"(Examples:
  acta verify orders                        every record is read and checked
  acta repair orders --into orders-2        what is good of a damaged store
  acta compact orders                       its files without the space that is free in them
  acta truncate orders order/42 --before 10 its first events are not read any more
  acta remove orders order/42               nor any of it
  acta backup orders /mnt/backup/orders     also while it is written; again: what is new since
  acta archive orders --before 2026-01-01 --into orders-2025
                                            its first events go into another store
  acta export orders orders.jsonl           one line of JSON a record
  acta import orders.jsonl orders-2         a new store of it
  acta stats orders --count                 pages, readers, events by category and type
  acta streams orders --category order      names and versions
  acta read orders --backward --limit 5     the newest five events
  acta COMMAND --help                       the arguments of a command

A store that is in use may be read, backed up and exported all the same.
Exit status: 0 done; 1 it failed, or a problem was found; 2 wrong arguments.
)";

/// What was chosen, to be run after parsing.
using action = std::function<int()>;

template <class Arguments>
CLI::App* add_command(CLI::App& app, const char* name, const char* what, const char* example,
                      Arguments& to, int (*run)(const Arguments&), action& chosen) {
  auto* command = app.add_subcommand(name, what);
  command->footer(std::string("Example:\n  ") + example + '\n');
  command->final_callback([&to, &chosen, run] { chosen = [&to, run] { return run(to); }; });
  return command;
}

template <class Arguments>
void add_store(CLI::App* command, Arguments& to) {
  command->add_option("STORE", to.store, "Directory of the store")->required();
}

template <class Arguments>
void add_json(CLI::App* command, Arguments& to) {
  command->add_flag("--json", to.json, "For machines: JSON");
}

struct arguments {
  verify_arguments verify{};
  repair_arguments repair{};
  compact_arguments compact{};
  truncate_arguments truncate{};
  truncate_arguments remove{};
  backup_arguments backup{};
  archive_arguments archive{};
  export_arguments export_store{};
  import_arguments import_store{};
  stats_arguments stats{};
  streams_arguments streams{};
  read_arguments read{};
};

void add_care(CLI::App& app, arguments& to, action& chosen) {
  auto* verify = add_command(app, "verify", "Check every page and record, and report what is wrong",
                             "acta verify orders --json", to.verify, acta::tool::verify, chosen);
  add_store(verify, to.verify);
  verify->add_option("--findings", to.verify.findings, "List so many at most; all are counted")
    ->capture_default_str();
  add_json(verify, to.verify);
  auto* backup =
    add_command(app, "backup", "Copy a store, also while it is written; again: what is new since",
                "acta backup orders /mnt/backup/orders", to.backup, acta::tool::backup, chosen);
  add_store(backup, to.backup);
  backup->add_option("DEST", to.backup.to, "Directory of the copy")->required();
  add_json(backup, to.backup);
  auto* archive = add_command(app, "archive", "Move a store's first events into another store",
                              "acta archive orders --before 1000000 --into /mnt/archive/orders",
                              to.archive, acta::tool::archive, chosen);
  add_store(archive, to.archive);
  archive
    ->add_option("--before", to.archive.before,
                 "The first position that stays; or a date, and what was recorded then or later "
                 "stays: 2026-11-21, or 2026-11-21T12:52:33Z")
    ->required();
  archive
    ->add_option("--into", to.archive.into,
                 "Directory of the archive: a new one, or that of an earlier run, which goes on")
    ->required();
  add_json(archive, to.archive);
}

void add_mending(CLI::App& app, arguments& to, action& chosen) {
  auto* repair =
    add_command(app, "repair", "Make a new store of what is good of a damaged one",
                "acta repair orders --into orders-2", to.repair, acta::tool::repair, chosen);
  add_store(repair, to.repair);
  repair->add_option("--into", to.repair.into, "Directory of the new store; missing or empty")
    ->required();
  repair->add_option("--lost", to.repair.lost, "List so many lost records at most")
    ->capture_default_str();
  add_json(repair, to.repair);
  auto* compact =
    add_command(app, "compact", "Give back the space that is free within a store's files",
                "acta compact orders", to.compact, acta::tool::compact, chosen);
  add_store(compact, to.compact);
  add_json(compact, to.compact);
  auto* truncate = add_command(
    app, "truncate", "Let a stream begin at a later version; numbering goes on",
    "acta truncate orders order/42 --before 10", to.truncate, acta::tool::truncate, chosen);
  add_store(truncate, to.truncate);
  truncate->add_option("STREAM", to.truncate.stream, "CATEGORY/KEY")->required();
  truncate->add_option("--before", to.truncate.before, "The first version that is read from now on")
    ->check(CLI::PositiveNumber)
    ->required();
  truncate->add_flag("--without-state", to.truncate.without_state,
                     "Also where no state is left for an aggregate to go on from");
  auto* remove =
    add_command(app, "remove", "Truncate all of a stream", "acta remove orders order/42", to.remove,
                acta::tool::truncate, chosen);
  add_store(remove, to.remove);
  remove->add_option("STREAM", to.remove.stream, "CATEGORY/KEY")->required();
}

void add_text(CLI::App& app, arguments& to, action& chosen) {
  auto* out =
    add_command(app, "export", "Write a store as JSON, one line a record",
                "acta export orders orders.jsonl --decode", to.export_store, export_store, chosen);
  add_store(out, to.export_store);
  out->add_option("FILE", to.export_store.file, "Where to; without it, standard output");
  out->add_flag("--decode", to.export_store.decode,
                "Beside an event's bytes, show it as JSON where the store has its schema");
  auto* in =
    add_command(app, "import", "Make a new store of an export", "acta import orders.jsonl orders-2",
                to.import_store, import_store, chosen);
  in->add_option("FILE", to.import_store.file, "What export wrote; - is standard input")
    ->required();
  in->add_option("STORE", to.import_store.store, "Directory of the new store; missing or empty")
    ->required();
}

void add_looks(CLI::App& app, arguments& to, action& chosen) {
  auto* stats = add_command(app, "stats", "Say what a store is made of, and who reads it",
                            "acta stats orders --count", to.stats, acta::tool::stats, chosen);
  add_store(stats, to.stats);
  stats->add_flag("--count", to.stats.count,
                  "Also count by category and event type, which reads every record");
  add_json(stats, to.stats);
  auto* streams = add_command(app, "streams", "List streams with their versions",
                              "acta streams orders --category order --after order/42", to.streams,
                              acta::tool::streams, chosen);
  add_store(streams, to.streams);
  streams->add_option("--category", to.streams.category, "Only of this category");
  streams->add_option("--after", to.streams.after, "Those that follow this one: CATEGORY/KEY");
  streams->add_option("--limit", to.streams.limit, "So many at most; 0 for all")
    ->capture_default_str();
  add_json(streams, to.streams);
  auto* read =
    add_command(app, "read", "Show events, decoded where the store has their schema",
                "acta read orders --stream order/42 --from 3", to.read, acta::tool::read, chosen);
  add_store(read, to.read);
  auto* stream = read->add_option("--stream", to.read.stream, "Of one stream: CATEGORY/KEY");
  read->add_option("--category", to.read.category, "Of one category")->excludes(stream);
  read->add_option("--type", to.read.event_type, "Of one event type");
  read
    ->add_option_function<std::uint64_t>(
      "--from",
      [&to](std::uint64_t from) {
        to.read.from = from;
        to.read.has_from = true;
      },
      "Begin at this position; with --stream, at this version")
    ->type_name("N");
  read->add_option("--limit", to.read.limit, "So many at most; 0 for all")->capture_default_str();
  read->add_flag("--backward", to.read.backward, "The newest first");
  add_json(read, to.read);
}

int run(int argc, char** argv) {
  CLI::App app("acta: takes care of stores, and shows what is in them.", "acta");
  app.set_version_flag("--version", "acta " ACTA_VERSION)->description("Print the version");
  app.footer(examples);
  app.require_subcommand(1);
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::Throw);
  arguments all;
  action chosen;
  add_care(app, all, chosen);
  add_mending(app, all, chosen);
  add_text(app, all, chosen);
  add_looks(app, all, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) { // --help, --version
    return app.exit(asked);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "acta: {}\nRun 'acta --help' for the arguments.\n", error.what());
    return wrong_usage;
  }
  return chosen();
}

} // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& thrown) {
    fmt::print(stderr, "acta: {}\n", thrown.what());
    return failed;
  }
}
