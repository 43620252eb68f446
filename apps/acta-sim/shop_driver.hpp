#pragma once

#include "olist_feed.hpp"
#include "sender.hpp"
#include "shop_ledger.hpp"

#include <acta/base/clock.hpp>
#include <acta/base/error.hpp>
#include <acta/runtime/engine.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <variant>
#include <vector>

namespace acta::sim {

/// Sends a shop's orders to an engine, as sender does, and keeps an account of them. One run, on
/// one thread. The engine must be stopped before it is destroyed.
///
/// Records bear the feed's times: the engine's clock stands at the time of what is sent, and is
/// moved when all of it is settled. Orders are placed one after another, so that the log has them
/// in the feed's order also where they are of one time.
class shop_driver {
public:
  struct parts {
    runtime::engine& engine;
    manual_clock& clock; ///< The engine's.
    const shop_feed& feed;
    const shop_ledger& before; ///< What the store had before.
    std::size_t window = 1;
    const std::atomic<bool>& interrupted; ///< When true, no more is sent.
    std::function<void()> on_progress;    ///< Called every now and then.
  };

  /// In the order of orders::order::command.
  static constexpr std::array<std::string_view, 5> command_names{"place", "pay", "ship", "deliver",
                                                                 "cancel"};
  static_assert(command_names.size() == std::variant_size_v<orders::order::command>);

  explicit shop_driver(const parts& given);

  /// Sends all and waits for every outcome. An error if a command was neither accepted nor refused:
  /// the first one's.
  [[nodiscard]] result<void> run();

  [[nodiscard]] const tally& results() const noexcept { return sender_.results(); }
  /// How far it is, from 0 to 1. Also during run(), on its thread, as the next two.
  [[nodiscard]] double progress() const noexcept;
  [[nodiscard]] std::uint64_t sent() const noexcept { return sender_.sent(); }
  /// Not sent, as the store has decided them.
  [[nodiscard]] std::uint64_t left_out() const noexcept { return left_out_; }

  /// Of one command's outcomes, by the refusal's code; those that were accepted at 0. After run(),
  /// as the next.
  [[nodiscard]] const tally::by_code& outcomes(std::size_t command) const {
    return outcomes_.at(command);
  }
  /// Why the order was not placed, in this run; 0 if it was, or was not to be.
  [[nodiscard]] std::uint16_t refusal_of(std::size_t order) const { return refusals_.at(order); }

private:
  void move_clock_to(const shop_step& one);
  [[nodiscard]] result<void> send(const shop_step& one);
  /// On the thread that tells outcomes.
  void note(std::size_t order, std::size_t command, const runtime::outcome& end) noexcept;

  parts parts_;
  sender sender_;
  std::size_t at_ = 0;
  std::uint64_t left_out_ = 0;
  std::array<tally::by_code, command_names.size()> outcomes_{};
  std::vector<std::uint16_t> refusals_; ///< By shop_feed::orders.
};

} // namespace acta::sim
