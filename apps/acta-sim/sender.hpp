#pragma once

#include "acknowledgements.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/runtime/latency_histogram.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

namespace acta::sim {

/// What came of the commands. Written by the thread that tells outcomes, one at a time; read it
/// after sender::wait_for_all().
struct tally {
  static constexpr std::size_t codes = 32; ///< Refusals have codes below this.
  using by_code = std::array<std::uint64_t, codes>;

  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;
  by_code rejections{}; ///< By the domain's refusal.
  std::uint64_t events = 0;
  std::uint64_t streams = 0; ///< Aggregates that had no event before.
  log_position last;         ///< The newest position in a receipt.
  std::optional<error> failure;
  std::uint64_t failures = 0;
  runtime::latency_histogram latency;
};

/// Sends commands to an engine, at most `window` of them not acknowledged at a time, and counts
/// what comes back. A command's id is the source's fingerprint and its record's number. For one
/// thread. The engine must be stopped before it is destroyed.
class sender {
public:
  struct parts {
    runtime::engine& engine;
    std::uint64_t fingerprint = 0;
    std::size_t window = 1;
    std::function<void()> on_progress; ///< Called where it has waited.
  };
  /// What is done with an outcome besides counting it.
  struct nothing {
    void operator()(const runtime::outcome&) const noexcept {}
  };

  explicit sender(parts given) : parts_(std::move(given)) {}

  /// Waits until there is room, and sends. `note` gets the outcome, on the thread that tells it.
  template <class Aggregate, class Note = nothing>
  [[nodiscard]] result<void> send(const stream_id& stream, typename Aggregate::command command,
                                  std::uint64_t record, Note note = {}) {
    time_next();
    auto told = parts_.engine.tell<Aggregate>(stream, std::move(command),
                                              settlement<Note>{this, sent_at_, std::move(note)},
                                              {.id = command_id::of(parts_.fingerprint, record)});
    if (told)
      ++sent_;
    return told;
  }

  template <class Aggregate>
  [[nodiscard]] result<void> send(std::uint64_t key, typename Aggregate::command command,
                                  std::uint64_t record) {
    return send<Aggregate>(parts_.engine.stream<Aggregate>(key), std::move(command), record);
  }

  void wait_for_all() noexcept;
  /// The first failure of a command that was neither accepted nor refused. After wait_for_all().
  [[nodiscard]] result<void> status() const;

  [[nodiscard]] const tally& results() const noexcept { return tally_; }
  [[nodiscard]] std::uint64_t sent() const noexcept { return sent_; }

private:
  template <class Note>
  struct settlement {
    sender* to;
    std::chrono::steady_clock::time_point sent_at;
    [[no_unique_address]] Note note;

    void operator()(runtime::outcome&& end) {
      to->settle(end, sent_at);
      note(end);
      to->acknowledged_.settle_one();
    }
  };

  void time_next();
  /// True if it had to wait.
  bool wait_for_room();
  void settle(const runtime::outcome& end, std::chrono::steady_clock::time_point sent_at) noexcept;

  parts parts_;
  std::uint64_t sent_ = 0;
  std::uint64_t seen_done_ = 0;
  std::chrono::steady_clock::time_point sent_at_;
  tally tally_;
  acknowledgements acknowledged_;
};

} // namespace acta::sim
