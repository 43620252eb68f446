#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

/// What acta can do. Each returns the status to end with, and has said what went wrong.
namespace acta::tool {

struct verify_arguments {
  std::filesystem::path store;
  std::size_t findings = 100; ///< At most so many are listed.
  bool json = false;
};
int verify(const verify_arguments& chosen);

struct repair_arguments {
  std::filesystem::path store;
  std::filesystem::path into;
  std::size_t lost = 100; ///< At most so many are listed.
  bool json = false;
};
int repair(const repair_arguments& chosen);

struct compact_arguments {
  std::filesystem::path store;
  bool json = false;
};
int compact(const compact_arguments& chosen);

struct truncate_arguments {
  std::filesystem::path store;
  std::string stream;
  std::uint64_t before = 0; ///< 0: all of it.
  bool without_state = false;
};
int truncate(const truncate_arguments& chosen);

struct backup_arguments {
  std::filesystem::path store;
  std::filesystem::path to;
  bool json = false;
};
int backup(const backup_arguments& chosen);

struct archive_arguments {
  std::filesystem::path store;
  std::string before; ///< A position, or a date.
  std::filesystem::path into;
  bool json = false;
};
int archive(const archive_arguments& chosen);

struct export_arguments {
  std::filesystem::path store;
  std::filesystem::path file; ///< Empty, or "-": standard output.
  bool decode = false;
};
int export_store(const export_arguments& chosen);

struct import_arguments {
  std::filesystem::path file; ///< "-": standard input.
  std::filesystem::path store;
};
int import_store(const import_arguments& chosen);

struct stats_arguments {
  std::filesystem::path store;
  bool count = false; ///< By category and event type, which reads everything.
  bool json = false;
};
int stats(const stats_arguments& chosen);

struct streams_arguments {
  std::filesystem::path store;
  std::string category;
  std::string after;
  std::size_t limit = 100;
  bool json = false;
};
int streams(const streams_arguments& chosen);

struct read_arguments {
  std::filesystem::path store;
  std::string stream;
  std::string category;
  std::string event_type;
  bool has_from = false;
  std::uint64_t from = 0; ///< A version, if there is a stream; else a position.
  std::uint64_t limit = 100;
  bool backward = false;
  bool json = false;
};
int read(const read_arguments& chosen);

} // namespace acta::tool
