#include "engine_checks.hpp"

#include "cores.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace acta::runtime {

unsigned default_workers() {
  return std::max(2U, static_cast<unsigned>(usable_cores().size())) - 1U;
}

result<void> check_threads(const engine_options& options) {
  if (options.commit == commit_by::worker && options.workers != 1)
    return failure(
      errc::invalid_argument,
      fmt::format("engine_options::commit is by the worker, and there are {}: only one "
                  "may write the log; set workers to 1, or commit to own_thread",
                  options.workers));
  const auto cores = usable_cores().size();
  if (options.workers <= cores)
    return {};
  if (options.workers > limits::max_workers)
    return failure(errc::invalid_argument,
                   fmt::format("engine_options::workers is {}; at most {} are started, and 0 "
                               "starts as many as this process may use cores",
                               options.workers, limits::max_workers));
  if (options.wait == waiting::spin)
    return failure(errc::invalid_argument,
                   fmt::format("engine_options::wait is spin with {} workers, and this process may "
                               "use {} cores: threads that spin for one another's core take "
                               "milliseconds; set workers to {} at most, or wait to park",
                               options.workers, cores, cores));
  if (options.pin_workers)
    return failure(errc::invalid_argument,
                   fmt::format("engine_options::pin_workers is set with {} workers, and this "
                               "process may use {} cores: set workers to {} at most",
                               options.workers, cores, cores));
  return {};
}

int spare_cores(const engine_options& options) {
  const auto taken = options.workers + (options.commit == commit_by::own_thread ? 1U : 0U);
  return std::max(0, static_cast<int>(usable_cores().size()) - static_cast<int>(taken));
}

result<void> check(const engine_options& options) {
  if (options.max_in_flight == 0)
    return failure(errc::invalid_argument,
                   "engine_options::max_in_flight is 0: no command could ever be taken");
  if (options.passivate_after.count() < 0)
    return failure(
      errc::invalid_argument,
      "engine_options::passivate_after is negative; 0 leaves idle aggregates in memory");
  constexpr auto most_memory = std::size_t{std::numeric_limits<std::int64_t>::max() / 9 * 8};
  if (options.memory_budget > most_memory) // an eighth more is still counted
    return failure(errc::invalid_argument,
                   fmt::format("engine_options::memory_budget is {}, more than {}; 0 sets none",
                               options.memory_budget, most_memory));
  if (options.max_mailbox == 0)
    return failure(errc::invalid_argument,
                   "engine_options::max_mailbox is 0: no command could ever be taken");
  if (options.max_recoveries == 0)
    return failure(errc::invalid_argument,
                   "engine_options::max_recoveries is 0: no aggregate could ever be loaded");
  if (std::ranges::find(options.interceptors, nullptr) != options.interceptors.end())
    return failure(errc::invalid_argument, "engine_options::interceptors has a null pointer");
  if (options.repeat_window > limits::max_repeat_window)
    return failure(errc::invalid_argument,
                   fmt::format("engine_options::repeat_window is {}; at most {} command ids are "
                               "remembered",
                               options.repeat_window, limits::max_repeat_window));
  if (options.snapshots_kept == 0)
    return failure(errc::invalid_argument,
                   "engine_options::snapshots_kept is 0; to have no snapshots, set snapshot_every "
                   "to 0");
  if (options.clock == nullptr)
    return failure(errc::invalid_argument, "engine_options::clock is null");
  return {};
}

std::unexpected<error> refuse(const category_entry* category, const stream_id& stream) {
  if (category == nullptr)
    return failure(
      errc::invalid_argument,
      fmt::format("stream {}: its category is of no aggregate given to engine::open<...>",
                  stream.to_string()));
  return failure(errc::invalid_argument,
                 fmt::format("stream {}: the command is another aggregate's",
                             stream.to_string(category->type->category())));
}

std::unexpected<error> no_room(registry::delivery how, const core& shared,
                               const category_entry& category, const stream_id& stream) {
  ensure(how != registry::delivery::done, "something is full");
  if (how == registry::delivery::memory_full)
    return failure(errc::overloaded,
                   fmt::format("the aggregates in memory take {} bytes, more than an eighth over "
                               "engine_options::memory_budget, {}; wait for outcomes",
                               shared.aggregate_memory.load(std::memory_order_relaxed),
                               shared.options.memory_budget));
  return failure(errc::overloaded,
                 fmt::format("stream {}: {} commands wait for it, as many as "
                             "engine_options::max_mailbox allows; wait for outcomes",
                             stream.to_string(category.type->category()),
                             shared.options.max_mailbox));
}

} // namespace acta::runtime
