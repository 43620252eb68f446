#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/record.hpp>
#include <acta/storage/snapshot_store.hpp>

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

/// How truncations are kept: those of stream K of category "order" are the events of stream K of
/// category "acta.retention/order", so that the index finds the newest as it finds any event, and
/// it is versioned, checked and rebuilt as any other. Written by stream_writer::truncate() and
/// remove(), and by engines; the functions here are for those two.
namespace acta::storage {

/// What a category of truncations is called: this, and the name of the category it is of.
inline constexpr std::string_view retention_prefix = "acta.retention/";
inline constexpr std::string_view truncated_event = "acta.storage.stream_truncated";

/// What a truncation makes of a stream.
struct truncation {
  stream_version before = stream_version(1); ///< The first version that is read.
  bool removed = false; ///< The events before that were all it had: what follows began anew.
  /// What they had come to, if it was kept: at version `before` - 1 or later. Borrowed from the
  /// snapshot of the log that it was read in. Its position is 0 where it was kept by an engine.
  std::optional<stream_snapshot> state{};
};

/// True if the stream has events or a state: it was not removed, or began anew.
[[nodiscard]] constexpr bool exists(const truncation& truncated, stream_version version) noexcept {
  return version != stream_version(0) && (!truncated.removed || version >= truncated.before);
}

/// What the records of truncations are written with.
struct truncation_ids {
  category_id category;
  event_type_id event;
};

/// Makes known to the log how the streams of a category are truncated, if it is not yet. As
/// event_log::register_category(), and for the same thread. errc::invalid_argument for a category
/// without a name, and for one of truncations.
[[nodiscard]] result<truncation_ids> register_truncations(event_log& log, category_id category);

/// The stream of another's truncations: the same key in their category.
[[nodiscard]] stream_id in_category(const stream_id& stream, category_id category);

/// The payload of a truncation's record. errc::too_large if its state is over the limit of an
/// event, limits::max_payload_size; `stream` names it.
[[nodiscard]] result<std::vector<std::byte>> truncation_payload(const truncation& what,
                                                                std::string_view stream);

/// What the record of a truncation says, with the state in it; errc::corrupt if it is none. Does
/// not look at the record's checksum.
[[nodiscard]] result<truncation> read_truncation(const record_view& record);

} // namespace acta::storage
