#pragma once

#include "options.hpp"
#include "report.hpp"
#include "sender.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/projections/projector.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

/// What runs of every domain have in common.
namespace acta::sim {

using seconds = std::chrono::duration<double>;

/// A directory that is gone when this is.
class temporary_directory {
public:
  [[nodiscard]] static result<std::unique_ptr<temporary_directory>> make();
  ~temporary_directory();
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
  explicit temporary_directory(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

/// Where a run's events go: the store that was named, or else a temporary one, or memory. Must
/// outlive the engine that gets the log.
struct run_store {
  std::unique_ptr<temporary_directory> temporary;
  std::filesystem::path directory; ///< Empty: in memory.
  std::unique_ptr<storage::event_log> log;
};
[[nodiscard]] result<run_store> open_store(const options& chosen);

/// Waits until a projector has reached a position, and calls `meanwhile` every now and then; or
/// says why it stopped.
[[nodiscard]] result<void> catch_up(const projections::projector& follower, log_position position,
                                    const std::function<void()>& meanwhile);

[[nodiscard]] projection_state state_of(const projections::projector& follower,
                                        std::uint64_t log_events);

/// What every report says of what was sent and what came back, and the machine.
[[nodiscard]] report begin_report(const options& chosen, const std::string& feed,
                                  const tally& results, const runtime::engine& engine,
                                  const std::filesystem::path& directory);

/// Those counts that are not 0, by the refusals' names.
template <class Refusal>
[[nodiscard]] std::map<std::string, std::uint64_t> names_of(const tally::by_code& counts) {
  std::map<std::string, std::uint64_t> named;
  for (std::size_t code = 0; code < counts.size(); ++code)
    if (counts[code] != 0)
      named.emplace(name(static_cast<Refusal>(code)), counts[code]);
  return named;
}

/// Says what is safe when a run fails.
[[nodiscard]] std::unexpected<error> add_receipted(const error& why, const tally& results,
                                                   const options& chosen);

} // namespace acta::sim
