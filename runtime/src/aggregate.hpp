#pragma once

#include "core.hpp"
#include "mailbox.hpp"
#include "pending_timers.hpp"
#include "recent_commands.hpp"
#include "recovery_limit.hpp"
#include "truncation_request.hpp"

#include <acta/base/ids.hpp>
#include <acta/runtime/detail/aggregate_type.hpp>
#include <acta/runtime/upcasters.hpp>
#include <acta/storage/record.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace acta::runtime {

/// The state of one aggregate and what happens to a command that reaches it. How it does is a
/// matter of the actor that is derived from this, which calls handle() with one command at a time,
/// on the thread of its worker.
class aggregate : public mailbox {
public:
  aggregate(const aggregate&) = delete;
  aggregate& operator=(const aggregate&) = delete;

  /// Loads the aggregate if need be, decides, evolves, and stages events and settlement.
  void handle(std::unique_ptr<detail::envelope> command) noexcept;
  /// Stages a record that truncates or removes its stream, and goes on from that.
  void handle(std::unique_ptr<truncation_request> request) noexcept;

  /// What an atomic command does with an aggregate that it holds: participation.hpp.
  class participation;
  /// True if it must be loaded before it can handle anything, and not all may load at a time.
  [[nodiscard]] bool may_have_to_wait() const noexcept {
    return state_ == nullptr && shared().recovery_limit != nullptr;
  }
  /// Then: whether it may load now.
  [[nodiscard]] loading_permit ask_to_load();

protected:
  aggregate(const category_entry& category, const stream_id& stream);
  ~aggregate();

private:
  class sink;

  [[nodiscard]] result<void> load();
  [[nodiscard]] result<void> evolve(const storage::record_view& stored, upcast_memory& memory);
  [[nodiscard]] result<void> make_state();
  void load_snapshot(const storage::log_snapshot& log, const storage::truncation& truncated);
  [[nodiscard]] result<bool> use(const storage::stream_snapshot& one,
                                 const storage::log_snapshot& log,
                                 const storage::truncation& truncated);
  [[nodiscard]] result<bool> restore(const storage::stream_snapshot& one,
                                     const storage::truncation& truncated);
  [[nodiscard]] result<void> load_kept_state(const storage::truncation& truncated);
  [[nodiscard]] result<void> load_version_alone();
  [[nodiscard]] result<void> load_events(const storage::log_snapshot& log);
  void count_events_since_snapshot(std::size_t events) noexcept;
  [[nodiscard]] std::unique_ptr<taken_snapshot> take_snapshot();
  [[nodiscard]] result<flatbuffers::DetachedBuffer> saved_state() const;
  [[nodiscard]] std::vector<std::byte> saved_memory() const;
  [[nodiscard]] result<void> evolve_timer(const storage::record_view& stored);
  [[nodiscard]] bool is_still_due(const detail::envelope& command) const noexcept;
  [[nodiscard]] std::unique_ptr<timer_changes> set_timers(std::span<const timer_setting> settings);
  void forget() noexcept;
  void remember(const command_id& id, std::uint64_t events);
  template <class Message>
  void handle_in_turn(std::unique_ptr<Message> message) noexcept;
  [[nodiscard]] settlement process(std::unique_ptr<detail::envelope> command, staging& to);
  [[nodiscard]] settlement settle(std::unique_ptr<detail::envelope> command, staging& to);
  [[nodiscard]] result<void> prepare(detail::envelope& command);
  [[nodiscard]] const recent_commands::entry*
  find_repeated(const detail::envelope& command) const noexcept;
  [[nodiscard]] settlement repeat(std::unique_ptr<detail::request> command,
                                  const recent_commands::entry& before);
  [[nodiscard]] result<void> check_deadline(const detail::envelope& command) const;
  [[nodiscard]] result<void> check_conditions(const detail::envelope& command) const;
  void end_turn(settlement& end, std::uint64_t number) noexcept;
  [[nodiscard]] result<void> check_before_loading(detail::envelope& command);
  [[nodiscard]] result<void> load_or_hold_back();
  void answer_at_once(settlement& end) const;
  [[nodiscard]] settlement process(std::unique_ptr<truncation_request> request, staging& to);
  [[nodiscard]] result<bool> truncate(const truncation_order& order, staging& to);
  [[nodiscard]] result<bool> remove(const truncation_order& order, staging& to);
  [[nodiscard]] result<void> stage(const truncation_order& order, const storage::truncation& what,
                                   staging& to) const;
  [[nodiscard]] result<void> begin_anew();
  [[nodiscard]] settlement decide(std::unique_ptr<detail::envelope> command, staging& to);
  [[nodiscard]] settlement accept(std::unique_ptr<detail::envelope> command,
                                  std::span<const timer_setting> timers, staging& to);
  [[nodiscard]] result<void> evolve_emitted(std::span<const detail::verified_event> events);
  void note_use() noexcept;
  [[nodiscard]] std::uint32_t memory() const noexcept;
  [[nodiscard]] settlement end_of(std::unique_ptr<detail::request> command);
  [[nodiscard]] settlement fail(std::unique_ptr<detail::request> command, error why);
  [[nodiscard]] core& shared() const noexcept { return *category_.shared; }
  [[nodiscard]] stream_id whole_stream() const noexcept { return stream().get(); }
  [[nodiscard]] std::string name() const {
    return whole_stream().to_string(category_.type->category());
  }

  // In the order that puts what each command touches side by side.
  const category_entry& category_;
  void* state_ = nullptr; ///< Null until loaded.
  std::uint64_t version_ = 0;
  bool removed_ = false; ///< Its stream was removed, and nothing was stored since.
  std::uint32_t events_since_snapshot_ = 0;
  alignas(8) detail::state_place place_; ///< Raw, unless state_ is there.
  recent_commands recent_;
  pending_timers timers_;
};

} // namespace acta::runtime
