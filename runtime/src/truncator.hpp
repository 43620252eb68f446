#pragma once

#include "core.hpp"
#include "truncation_request.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/runtime/receipt.hpp>
#include <acta/storage/truncation.hpp>

#include <array>
#include <functional>
#include <map>
#include <mutex>

namespace acta::runtime {

class housekeeper;
class registry;

/// Truncates and removes streams on behalf of callers, who wait for it.
///
/// Operation: looks up in the index what the stream's truncations are now, and sends the actor what
/// it needs to add the next one, so that actors need not know of them. The categories and the event
/// type of truncations are made known to the log by the committer, when they are first needed.
///
/// Concurrency: any thread. Truncations of streams that share a lock wait for one another, so that
/// what was looked up holds until the record is committed, and the next look finds it.
class truncator {
public:
  /// `admit` counts one command in, or says why it may not be sent.
  truncator(core& shared, housekeeper& helper, registry& actors,
            std::function<result<void>()> admit);

  /// Removes the stream, or truncates all it has.
  [[nodiscard]] outcome run(const category_entry& category, const stream_id& stream, bool removes);

private:
  [[nodiscard]] result<storage::truncation_ids> ids_of(const category_entry& category);
  [[nodiscard]] result<truncation_order> look_up(const category_entry& category,
                                                 const stream_id& stream);

  core& core_;
  housekeeper& housekeeper_;
  registry& registry_;
  std::function<result<void>()> admit_;
  std::array<std::mutex, 64> locks_; ///< By the stream's hash.
  std::mutex ids_mutex_;
  std::map<category_id, storage::truncation_ids> ids_;
};

} // namespace acta::runtime
