#pragma once

#include "bell.hpp"
#include "chore.hpp"

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace acta::runtime {

class actor_host;

/// Runs an engine that has no threads, one step at a time, in an order drawn from a seed: first
/// whether an actor or which of the chores is next, among those with something to do, then which
/// actor. One thread.
class driver {
public:
  driver(actor_host& host, std::uint64_t seed) : host_(host), random_(seed) {}
  driver(const driver&) = delete;
  driver& operator=(const driver&) = delete;

  void add(chore& todo);

  /// Lets one actor handle one message, or does one round of a chore; false if there is nothing to
  /// do. Not from within a step.
  bool run_one();

  /// Takes steps until `reached()`, which must come true.
  template <class Reached>
  void run_until(Reached reached) {
    while (!reached())
      must_run_one();
  }

  /// Does the chores as long as there is something to do, and gives them up.
  void finish_chores();

private:
  void must_run_one();
  [[nodiscard]] std::size_t draw(std::size_t below);

  actor_host& host_;
  std::mt19937_64 random_; ///< The same everywhere, which a std::..._distribution is not.
  std::vector<chore*> chores_;
  std::vector<chore*> ready_; ///< Of run_one(), memory kept. Null stands for the actors.
  bell nobody_;
  bool running_ = false;
};

} // namespace acta::runtime
