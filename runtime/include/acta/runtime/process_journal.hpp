#pragma once

#include <acta/base/error.hpp>
#include <acta/domain/aggregate.hpp>
#include <acta/runtime/process_generated.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace acta::runtime {

/// What a process manager goes on from when it is started again.
struct process_progress {
  /// A command that failed, which the manager has gone on from.
  struct failed_command {
    std::uint64_t position = 0; ///< Of the event it answers.
    std::uint32_t index = 0;    ///< Among the commands of the event.
    std::uint32_t attempt = 1;
    errc code = errc::rejected;
    std::uint16_t rejection = 0;
    std::string message;
    bool operator==(const failed_command&) const = default;
  };
  std::uint64_t settled = 0;          ///< All commands of the events up to here are settled.
  std::vector<failed_command> failed; ///< Of the events behind that, in the order they failed.
  /// Where the oldest instance of then began: the states are made of the events from here on. 0
  /// where nothing was noted; in notes of an older program too, which began at position 1.
  std::uint64_t from = 0;
  bool operator==(const process_progress&) const = default;
};

struct settle_process {
  std::uint64_t position = 0;
  std::uint64_t from = 0; ///< See process_progress.
};
struct note_failed_command {
  process_progress::failed_command what;
};
struct read_process_progress {
  using reply = process_progress;
};

/// Where process managers write down how far they are, in the log as everything else: one stream
/// each, whose key is the manager's name. An aggregate like others, to be given to
/// engine::open<...>; process managers send it commands, others only read it.
///
///     auto engine = runtime::engine::open<order, refund, runtime::process_journal>(...);
struct process_journal {
  static constexpr std::string_view category = "acta.process";
  using state = process_progress;
  using command = std::variant<settle_process, note_failed_command, read_process_progress>;
  using events = domain::event_list<process_settled, process_command_failed>;
  using out = domain::emitter<process_journal>;

  static domain::decision decide(const state& now, const settle_process& command, out& events);
  static domain::decision decide(const state& now, const note_failed_command& command, out& events);
  static domain::decision_for<read_process_progress>
  decide(const state& now, const read_process_progress& command, out& events);
  static void evolve(state& now, const process_settled& event) noexcept;
  static void evolve(state& now, const process_command_failed& event) noexcept;

  using snapshot = process_journal_state;
  static flatbuffers::Offset<snapshot> save(const state& now,
                                            flatbuffers::FlatBufferBuilder& builder);
  static state load(const snapshot& saved);
};

} // namespace acta::runtime
