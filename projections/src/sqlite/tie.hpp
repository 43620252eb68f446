#pragma once

#include "connection.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/projections/dead_letter.hpp>
#include <acta/projections/sqlite/store.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/view_file.hpp>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

/// The tables of the view's own: docs/sqlite-views.md. What it is and which log it was built of,
/// through where; and its dead letters.
namespace acta::projections::sqlite {

/// What a view's file must be of.
using identity = storage::view_identity;

/// Creates them in a new file, within a transaction.
[[nodiscard]] result<void> create_tie(connection& in, const identity& of,
                                      const storage::event_log& log);

/// True if there is nothing in the file yet; errc::foreign_store if what is in it is not a view.
[[nodiscard]] result<bool> is_new(connection& in, const std::filesystem::path& file);

/// The checkpoint of a file, checked: that it is of this view and this log, as far as it is now.
[[nodiscard]] result<log_position> check_tie(connection& in, const std::filesystem::path& file,
                                             const identity& of, const storage::event_log& log);

/// Moves the checkpoint, within a transaction. errc::store_in_use if another has moved it.
[[nodiscard]] result<void> move_tie(connection& in, const std::filesystem::path& file,
                                    log_position from, log_position to,
                                    const storage::event_log& log);
[[nodiscard]] result<log_position> position_of(connection& in);

[[nodiscard]] result<void> put_letters(connection& in, std::span<const dead_letter> letters);
[[nodiscard]] result<void> erase_letter(connection& in, log_position at);
[[nodiscard]] result<std::vector<dead_letter>> letters_of(connection& in);

/// Takes everything out of a file but what create_tie() made, within a transaction.
[[nodiscard]] result<void> drop_tables(connection& in);

} // namespace acta::projections::sqlite
