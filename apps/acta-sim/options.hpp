#pragma once

#include <acta/runtime/engine_options.hpp>
#include <acta/storage/event_log.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

namespace acta::sim {

enum class feed_kind : std::uint8_t { generator, mbo, lobster, olist };

/// What the command line asks for.
struct options {
  std::uint64_t orders = 1'000'000;
  std::uint64_t seed = 1;
  std::uint32_t instruments = 10;
  feed_kind feed = feed_kind::generator;
  std::filesystem::path feed_file; ///< Of olist a directory.
  std::filesystem::path initial_book;
  std::vector<std::uint64_t> skipped_orders;
  std::filesystem::path
    store; ///< Empty: a fresh one below the temporary folder, removed at the end.
  storage::durability durability = storage::durability::power;
  std::size_t window = 8'192;     ///< Commands sent and not yet acknowledged, at most.
  runtime::engine_options engine; ///< Its threads: workers, wait, pin_workers, commit.
  std::filesystem::path book_out;
  std::filesystem::path final_book;
  std::string json; ///< A file, or "-" for standard output instead of the table.
  bool quiet = false;
};

/// The program should end with this exit status; what there was to say is said.
struct exit_now {
  int status = 0;
};

/// Reads the command line. Prints the help to standard output, and what is wrong with the arguments
/// to standard error (status 2).
[[nodiscard]] std::variant<options, exit_now> parse_options(int argc, const char* const* argv);

} // namespace acta::sim
