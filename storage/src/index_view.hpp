#pragma once

#include "index_delta.hpp"
#include "index_file.hpp"
#include "retention.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/stream_index.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace acta::storage {

/// The index as it was at one moment: up to `stored` on disk, also in any later state of the file,
/// and behind that in the deltas, which it keeps alive. The functions are stream_index's.
class index_view {
public:
  /// `file` is null for a log in memory, `older` may be null.
  index_view(const event_log& log, const retention_categories& retention, const index_file* file,
             std::shared_ptr<const index_delta> older, std::shared_ptr<const index_delta> newer,
             std::uint64_t stored) noexcept;

  [[nodiscard]] result<std::vector<record_view>> read(const stream_id& stream,
                                                      const log_snapshot& snapshot,
                                                      stream_version from, std::size_t max,
                                                      direction way) const;
  [[nodiscard]] result<stream_version> version(const stream_id& stream,
                                               const log_snapshot& snapshot) const;
  /// What its newest truncation says.
  [[nodiscard]] result<truncation> truncated(const stream_id& stream,
                                             const log_snapshot& snapshot) const;
  [[nodiscard]] result<log_position> position(const stream_id& stream, stream_version version,
                                              const log_snapshot& snapshot) const;
  [[nodiscard]] bool surely_absent(const stream_id& stream) const;
  [[nodiscard]] result<std::vector<stream_info>> streams(const log_snapshot& snapshot,
                                                         std::size_t max,
                                                         const std::optional<stream_id>& after,
                                                         category_id category) const;

private:
  [[nodiscard]] result<std::vector<record_view>>
  newest_truncation(const stream_id& stream, const log_snapshot& snapshot) const;
  [[nodiscard]] result<stream_version> first_read(const stream_id& stream,
                                                  const log_snapshot& snapshot) const;
  [[nodiscard]] bool has_none(const stream_id& stream) const;
  [[nodiscard]] result<std::vector<record_view>> read_forward(const stream_id& stream,
                                                              const log_snapshot& snapshot,
                                                              std::uint64_t from,
                                                              std::size_t max) const;
  [[nodiscard]] result<std::vector<record_view>>
  read_backward(const stream_id& stream, const log_snapshot& snapshot, std::uint64_t from,
                std::uint64_t down_to, std::size_t max) const;
  template <class Look>
  [[nodiscard]] result<std::uint64_t> walk(const stream_id& stream, const log_snapshot& snapshot,
                                           Look look) const;
  [[nodiscard]] result<std::vector<record_view>> read_disk(const stream_id& stream,
                                                           const log_snapshot& snapshot,
                                                           std::uint64_t from, std::uint64_t least,
                                                           std::size_t max, direction way) const;
  struct stream_page;
  [[nodiscard]] std::map<category_id, std::optional<category_id>>
  told_by(const log_snapshot& snapshot) const;
  [[nodiscard]] result<void> add_stored(stream_page& to) const;
  [[nodiscard]] result<std::map<std::string, stream_id>> page_of(const log_snapshot& snapshot,
                                                                 const std::string& begin,
                                                                 std::size_t max,
                                                                 category_id category) const;
  [[nodiscard]] std::unexpected<error> gap(const stream_id& stream, std::uint64_t version,
                                           std::uint64_t expected) const;

  const event_log& log_;
  const retention_categories& retention_;
  const index_file* file_;
  std::shared_ptr<const index_delta> older_;
  std::shared_ptr<const index_delta> newer_;
  std::uint64_t stored_;
};

} // namespace acta::storage
