#include <acta/storage/timer_checkpoint.hpp>

#include "file.hpp"
#include "lmdb_error.hpp"
#include "store_directory.hpp"
#include "timer_file.hpp"

#include <acta/base/ensure.hpp>
#include <acta/storage/record.hpp>

#include <fmt/format.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

namespace acta::storage {

namespace fs = std::filesystem;

namespace {

constexpr std::array<char, 8> magic{'A', 'C', 'T', 'A', 'T', 'M', 'R', '\0'};
constexpr std::uint32_t format_version = 1;
constexpr std::uint32_t byte_order = 0x01020304;

/// The start of the file; docs/format.md.
struct file_header {
  std::uint64_t checksum; ///< XXH3-64 of all that follows.
  std::array<char, 8> magic;
  std::uint32_t version;
  std::uint32_t byte_order;
  std::array<char, 32> store_id;
  std::uint64_t through;
  std::uint64_t record_checksum; ///< Of the record there.
  std::uint64_t count;
};
static_assert(sizeof(file_header) == 80);

/// One timer; the key follows it, padded with zeros to 8 bytes.
struct entry_header {
  std::uint64_t id;
  std::int64_t due_ns;
  std::uint64_t version;
  std::uint16_t category;
  std::uint8_t key_kind;
  std::uint8_t key_size;
  std::uint32_t unused;
};
static_assert(sizeof(entry_header) == 32);

[[nodiscard]] std::uint64_t checksum_of(std::span<const std::byte> whole) noexcept {
  const auto covered = whole.subspan(sizeof(std::uint64_t));
  return XXH3_64bits(covered.data(), covered.size());
}

[[nodiscard]] fs::path path_of(const event_log& log) {
  return log.directory() / timer_file_name;
}

/// Of a file that is not used; the log has it all.
[[nodiscard]] std::unexpected<error> not_usable(errc code, const fs::path& path,
                                                std::string_view why) {
  return failure(code, fmt::format("'{}' {}; the timers are read from the log instead, and it is "
                                   "written anew",
                                   path.string(), why));
}

/// Empty if there is none.
[[nodiscard]] result<std::vector<std::byte>> read_file(const fs::path& path) {
  const file in(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in.is_open() && errno == ENOENT)
    return {};
  struct ::stat about{};
  if (!in.is_open() || ::fstat(in.descriptor(), &about) != 0)
    return system_failure(errno, path, "open");
  std::vector<std::byte> bytes(static_cast<std::size_t>(about.st_size));
  for (std::size_t done = 0; done < bytes.size();) {
    const auto some = ::read(in.descriptor(), bytes.data() + done, bytes.size() - done);
    if (some < 0)
      return system_failure(errno, path, "reading");
    if (some == 0)
      return not_usable(errc::corrupt, path, "became shorter while it was read");
    done += static_cast<std::size_t>(some);
  }
  if (bytes.empty())
    return not_usable(errc::corrupt, path, "is empty");
  return bytes;
}

[[nodiscard]] result<void> write_file(const fs::path& path, std::span<const std::byte> bytes) {
  const file out(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!out.is_open())
    return system_failure(errno, path, "open for writing");
  while (!bytes.empty()) {
    const auto written = ::write(out.descriptor(), bytes.data(), bytes.size());
    if (written <= 0)
      return system_failure(written < 0 ? errno : ENOSPC, path, "writing");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  if (::fsync(out.descriptor()) != 0)
    return system_failure(errno, path, "sync");
  return {};
}

template <class T>
void append(std::vector<std::byte>& to, const T& one) {
  const auto bytes = std::as_bytes(std::span(&one, 1));
  to.insert(to.end(), bytes.begin(), bytes.end());
}

[[nodiscard]] std::vector<std::byte> encode(file_header head,
                                            const std::vector<pending_timer>& pending) {
  std::vector<std::byte> bytes;
  bytes.reserve(sizeof head + pending.size() * (sizeof(entry_header) + sizeof(std::uint64_t)));
  append(bytes, head);
  for (const auto& one : pending) {
    const auto key = one.stream.key();
    append(bytes, entry_header{.id = one.id.value(),
                               .due_ns = one.due_ns,
                               .version = one.version.value(),
                               .category = one.stream.category().value(),
                               .key_kind = static_cast<std::uint8_t>(one.stream.kind()),
                               .key_size = static_cast<std::uint8_t>(key.size()),
                               .unused = 0});
    bytes.insert(bytes.end(), key.begin(), key.end());
    bytes.resize(padded(bytes.size()));
  }
  head.checksum = checksum_of(bytes);
  std::memcpy(bytes.data(), &head.checksum, sizeof head.checksum);
  return bytes;
}

/// Behind the header. Empty if it does not add up.
[[nodiscard]] std::optional<std::vector<pending_timer>> decode(std::span<const std::byte> rest,
                                                               std::uint64_t count) {
  std::vector<pending_timer> all;
  while (!rest.empty()) {
    entry_header one{};
    if (rest.size() < sizeof one)
      return std::nullopt;
    std::memcpy(&one, rest.data(), sizeof one);
    rest = rest.subspan(sizeof one);
    if (rest.size() < padded(one.key_size))
      return std::nullopt;
    const auto stream = stream_id::from_bytes(
      category_id(one.category), static_cast<key_kind>(one.key_kind), rest.first(one.key_size));
    if (!stream || one.due_ns < 1 || one.version == 0)
      return std::nullopt;
    all.push_back({.stream = *stream,
                   .id = timer_id(one.id),
                   .due_ns = one.due_ns,
                   .version = stream_version(one.version)});
    rest = rest.subspan(padded(one.key_size));
  }
  return all.size() == count ? std::optional(std::move(all)) : std::nullopt;
}

} // namespace

result<std::optional<timer_file>> read_timer_file(const fs::path& path) {
  const auto bytes = read_file(path);
  if (!bytes)
    return std::unexpected(bytes.error());
  if (bytes->empty())
    return std::nullopt;
  file_header head{};
  if (bytes->size() < sizeof head)
    return not_usable(errc::corrupt, path, "is damaged");
  std::memcpy(&head, bytes->data(), sizeof head);
  if (head.magic == magic && head.version > format_version)
    return not_usable(errc::newer_format, path, "was written by a newer Acta");
  if (head.magic != magic || head.checksum != checksum_of(*bytes) || head.byte_order != byte_order
      || head.version == 0 || head.through == 0)
    return not_usable(errc::corrupt, path, "is damaged");
  auto pending = decode(std::span(*bytes).subspan(sizeof head), head.count);
  if (!pending)
    return not_usable(errc::corrupt, path, "is damaged");
  return timer_file{
    .store_id = std::string(head.store_id.data(), head.store_id.size()),
    .record_checksum = head.record_checksum,
    .what = {.through = log_position(head.through), .pending = std::move(*pending)}};
}

result<std::optional<timer_checkpoint>> load_timer_checkpoint(const event_log& log,
                                                              const log_snapshot& snapshot) {
  if (log.directory().empty())
    return std::nullopt;
  const auto path = path_of(log);
  auto file = read_timer_file(path);
  if (!file)
    return failure(file);
  if (!*file)
    return std::nullopt;
  if ((*file)->store_id != log.store_id())
    return not_usable(errc::foreign_store, path, "is another store's");
  const auto through = (*file)->what.through;
  if (through < snapshot.first() || through > snapshot.tail())
    return std::nullopt; // archived since, or lost with the power
  const auto last = snapshot.at(through);
  if (!last)
    return std::unexpected(last.error());
  if (last->header().checksum != (*file)->record_checksum)
    return not_usable(errc::foreign_store, path, "is of another log");
  return std::move((*file)->what);
}

result<void> save_timer_checkpoint(const event_log& log, const log_snapshot& snapshot,
                                   const timer_checkpoint& what) {
  ensure(what.through != log_position(0) && what.through <= snapshot.tail(),
         "a checkpoint goes up to a record that there is");
  if (log.directory().empty())
    return {};
  const auto last = snapshot.at(what.through);
  if (!last)
    return std::unexpected(last.error());
  file_header head{.checksum = 0,
                   .magic = magic,
                   .version = format_version,
                   .byte_order = byte_order,
                   .store_id = {},
                   .through = what.through.value(),
                   .record_checksum = last->header().checksum,
                   .count = what.pending.size()};
  ensure(log.store_id().size() == head.store_id.size(), "a store's id has 32 digits");
  std::memcpy(head.store_id.data(), log.store_id().data(), head.store_id.size());
  const auto path = path_of(log);
  auto fresh = path;
  fresh += ".new";
  if (auto written = write_file(fresh, encode(head, what.pending)); !written)
    return written;
  if (::rename(fresh.c_str(), path.c_str()) != 0)
    return system_failure(errno, path, "putting the new one in its place");
  return sync_directory(log.directory());
}

} // namespace acta::storage
