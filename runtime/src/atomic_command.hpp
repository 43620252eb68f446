#pragma once

#include "aggregate.hpp"
#include "core.hpp"
#include "mailbox.hpp"
#include "settlement.hpp"

#include <acta/base/error.hpp>
#include <acta/runtime/command_options.hpp>
#include <acta/runtime/detail/atomic_request.hpp>
#include <acta/runtime/detail/envelope.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace acta::runtime {

class atomic_answer;
class registry;

/// One aggregate of an atomic command on its way.
struct atomic_place {
  const category_entry* category;
  stream_id stream;
  expected_version expected;
  std::size_t asked = 0; ///< Its place among the parts, as the caller named them.
  std::unique_ptr<detail::envelope> command{};
  aggregate* actor = nullptr; ///< Once it is held.
};

/// A command over several aggregates.
///
/// Operation: holds their actors one after the other, in an order of streams that is the same for
/// all atomic commands, so that none waits in a circle; an actor that is held handles nothing. Each
/// stages a fence, which is answered behind all that the aggregate staged before. When
/// all have been answered, the worker of the last actor decides, and stages the events of all as
/// one command, in its own buffer. When that is committed all actors go on. So the records of each
/// aggregate are in order although they went through different buffers.
///
/// Concurrency: one thread at a time has it: the workers of the actors, in turn; once all fences
/// are answered, the last one's worker; then the committer. Each hands it on through a mailbox, a
/// worker's queue or a staging buffer, and with it the states of the aggregates. Only the fences
/// are answered while it is still handed from actor to actor: open_fences_ is atomic.
class atomic_command final : public std::enable_shared_from_this<atomic_command> {
public:
  /// Errors: errc::invalid_argument for what cannot be sent; those of the metadata.
  [[nodiscard]] static result<std::shared_ptr<atomic_command>>
  make(core& shared, registry& actors, std::unique_ptr<detail::atomic_request> request,
       const command_options& options);

  /// Goes to the first aggregate. It was admitted.
  void start() { hold(0); }

  // -- by hold_request ----------------------------------------------------------

  /// The actor of this place is held from here on.
  void reached(std::size_t which, aggregate& actor);
  /// Decides, by the actor of the last place.
  void run();
  [[nodiscard]] bool is_released() const noexcept { return released_; }
  /// The actor goes on.
  void let_go(aggregate& actor) const noexcept;

private:
  class signal;

  atomic_command(core& shared, registry& actors, std::shared_ptr<atomic_answer> answer,
                 std::vector<atomic_place> places);

  void hold(std::size_t which);
  void fence_answered();
  [[nodiscard]] std::vector<settlement> settle_parts(staging& to);
  void release();

  core& core_;
  registry& registry_;
  std::shared_ptr<atomic_answer> answer_;
  std::vector<atomic_place> places_; ///< In the order in which they are held.
  std::size_t held_ = 0;             ///< So many, from the first.
  std::optional<error> refusal_;     ///< Of the last that is held.
  std::atomic<std::size_t> open_fences_;
  bool released_ = false;
};

/// On its way through the mailbox of one of the aggregates, and the first there until that goes on.
class hold_request final : public detail::request {
public:
  hold_request(std::shared_ptr<atomic_command> of, std::size_t which) noexcept
      : of_(std::move(of)), which_(which) {}

  /// By the actor, when its turn comes, and whenever it proceeds. False: it is to pause here.
  [[nodiscard]] bool take_turn(aggregate& actor);
  /// True once it holds the actor.
  [[nodiscard]] bool has_reached() const noexcept { return reached_; }
  void settle(outcome&& how) noexcept override;

private:
  std::shared_ptr<atomic_command> of_;
  std::size_t which_;
  bool reached_ = false;
};

} // namespace acta::runtime
