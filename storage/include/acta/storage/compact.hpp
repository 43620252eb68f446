#pragma once

#include <acta/base/error.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace acta::storage {

/// What compact() made of one file of a store.
struct compacted_file {
  std::string name;         ///< In the store: "log/data.mdb".
  std::uint64_t before = 0; ///< Bytes it had,
  std::uint64_t after = 0;  ///< and has.
};

struct compact_options {
  /// Called with the records of the copy that were checked and how many there are, now and then, on
  /// this thread.
  std::function<void(std::uint64_t done, std::uint64_t of)> progress{};
};

/// Gives the space that LMDB keeps free within a store's files back to the file system: the log,
/// and the index and the snapshots where they are. What is in them stays as it is.
///
/// Each file is copied without its free pages into the folder `compacting` beside it and synced.
/// The copy is then read whole, without LMDB: of the log that it has the same id, names, schemas
/// and number of records, and all that verify_store() checks; of the others, their pages. Only then
/// is it renamed over the file. Whatever ends this, the old file or the new one is there, whole;
/// opening the store removes what is left of the copy.
///
/// Nobody may have the store open, nor open it for writing meanwhile: errc::store_in_use names the
/// process. Who opens it for reading at the end of it waits for the rename. Needs as much free
/// space as the largest file will have: errc::no_space. Takes the store back to its last sync
/// first, if the machine went down while it was open at durability `process`, as opening it does.
/// Other errors: corrupt names what is damaged; then, and with every error, the file it was about
/// is as before. not_found, foreign_store, newer_format, permission_denied, io.
///
///     auto done = compact("orders");
///     if (!done) return failure(done);
///     for (const auto& file : *done) report(file.name, file.before, file.after);
[[nodiscard]] result<std::vector<compacted_file>> compact(const std::filesystem::path& directory,
                                                          const compact_options& options = {});

} // namespace acta::storage
