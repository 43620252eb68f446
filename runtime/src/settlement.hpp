#pragma once

#include "mailbox.hpp"
#include "pending_timers.hpp"
#include "taken_snapshot.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/runtime/detail/envelope.hpp>

#include <cstdint>
#include <memory>

namespace acta::runtime {

/// An actor that may be dropped: see settlement::finished_after.
struct finished_actor {
  mailbox* actor;
  std::uint64_t handled;
};

/// How a command ended, on its way from the aggregate to the answerer, which tells the caller.
struct settlement {
  enum class kind : std::uint8_t {
    accepted, ///< Answer with a receipt once the events staged with it are committed.
    repeat,   ///< Answer with the first receipt, whose position has to be looked up in the log.
    failed,   ///< Answer with `failure`.
    known,    ///< Answer with the receipt, which is at `position`.
    errand,   ///< A log_errand, to be run and answered; no aggregate's.
  };

  std::unique_ptr<detail::request> command;
  /// The actor that handled it. It is dropped by the housekeeper alone, when that sees the
  /// `finished_after` of the last command the actor was sent: until then this is valid. It may be
  /// gone before the caller is answered, who may have to wait for a sync.
  mailbox* from = nullptr;
  kind how = kind::accepted;
  bool repeat : 1 = false;   ///< The receipt is one that was given before.
  bool answered : 1 = false; ///< The caller had his outcome already.
  /// By position in core::categories; of an errand, nothing.
  std::uint16_t category = 0;
  std::uint32_t events = 0;
  stream_version version{};
  log_position position{}; ///< Of its last event; of kind::accepted once it is committed.
  /// Not 0: the aggregate is closed or empty, and this was the so many-th command it handled. It
  /// may be dropped once this is committed, unless it was sent another command.
  std::uint64_t finished_after = 0;
  std::unique_ptr<error> failure{};
  /// Of the state after this command, to be saved once its events are committed.
  std::unique_ptr<taken_snapshot> snapshot{};
  /// What the command did to timers, which holds once its events are committed.
  std::unique_ptr<timer_changes> timers{};
};

} // namespace acta::runtime
