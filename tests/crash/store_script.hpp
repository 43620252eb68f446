#pragma once

#include "disk_recorder.hpp"

#include "../support/records.hpp"

#include <acta/base/error.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/stream_index.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

/// What the tests of power loss and faults let a store do, and what must be left of it.
namespace acta::tests {

struct store_options {
  storage::log_options log{};
  std::size_t index_memory = 0; ///< Of an index kept behind the log; 0: there is none.
};

/// So small that what an append adds goes to the disk, while the next goes on.
inline constexpr std::size_t small_index = 10'000;

/// Steps change the log, and the index follows it.
struct open_store {
  std::unique_ptr<storage::event_log> log;
  std::unique_ptr<storage::stream_index> index;

  void close() {
    index.reset();
    log.reset();
  }
};

/// A list of steps on a store, always the same. Each is done whole, or not at all, and those
/// before it were. Step 0 makes the store.
class store_script {
public:
  struct step {
    std::string category{};               ///< A name to register,
    std::string event_type{};             ///< or one of these,
    std::vector<finished_record> records; ///< or records to append at once,
    bool reopens = false;                 ///< or the store is closed and opened again.
  };

  /// Small commits and large ones, records over many pages, names, and openings in between.
  explicit store_script(std::size_t appends);

  /// Of the whole script; some appends can be done after the last, to go on with.
  [[nodiscard]] std::size_t size() const noexcept { return steps_.size() - after_the_last; }
  /// The log's tail after the first `done` steps.
  [[nodiscard]] std::uint64_t tail(std::size_t done) const;

  /// The fewest steps after which the tail is there.
  [[nodiscard]] std::size_t steps_until(std::uint64_t tail) const;
  /// True if a step opens the store.
  [[nodiscard]] bool opens(std::size_t number) const {
    return number == 0 || steps_.at(number).reopens;
  }

  /// Does a step. Step 0, and one that reopens, opens the store in `directory` into `store`.
  [[nodiscard]] result<void> run(std::size_t step, const std::filesystem::path& directory,
                                 const store_options& options, open_store& store) const;

  /// How many steps the store is the work of: at least `receipted`, at most `begun`. Checks every
  /// record byte by byte, every name, storage::verify(), and every stream of the index.
  /// errc::corrupt says what is wrong.
  [[nodiscard]] result<std::size_t> steps_in(const open_store& store, std::size_t receipted,
                                             std::size_t begun) const;

private:
  static constexpr std::size_t after_the_last = 3;

  void add_append(std::size_t number);
  void add_group(std::size_t count, std::size_t payload);
  [[nodiscard]] std::vector<std::string> names(std::size_t done, std::string step::* kind) const;
  [[nodiscard]] result<void> compare(const storage::event_log& log, std::uint64_t last) const;
  [[nodiscard]] static result<void> compare_index(const open_store& store);

  std::vector<step> steps_;
  std::vector<std::uint64_t> versions_; ///< Of each stream, as the script is made.
  std::uint64_t commands_ = 0;
};

/// What a mark in a recording says: a step began, or its receipt was there.
[[nodiscard]] constexpr std::uint64_t mark_of(std::size_t step, bool receipted) noexcept {
  return step * 2 + (receipted ? 1 : 0);
}

/// Steps begun and receipted before operation `cut`.
struct progress {
  std::size_t begun = 0;
  std::size_t receipted = 0;
};
[[nodiscard]] progress progress_at(const std::vector<disk_operation>& operations, std::size_t cut);

} // namespace acta::tests
