#include "tie.hpp"

#include "error_text.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <array>
#include <bit>
#include <optional>
#include <string_view>
#include <utility>

namespace acta::projections::sqlite {

namespace {

/// "ACTV", where SQLite's header has a place for it.
constexpr std::int64_t application = 0x41435456;
constexpr std::int64_t format = 1;

constexpr std::string_view tables = R"(
create table acta_view (
  format integer not null, store text not null, name text not null, version integer not null,
  part integer not null, parts integer not null, position integer not null,
  checksum integer not null) strict;
create table acta_dead_letters (
  position integer primary key, stream text not null, code integer not null, why text not null,
  attempts integer not null, since_ns integer not null) strict;
pragma application_id = 0x41435456;
)";

struct tie {
  std::int64_t format = 0;
  std::string store;
  std::string name;
  std::int64_t version = 0;
  std::int64_t part = 0;
  std::int64_t parts = 0;
  log_position position;
  std::int64_t checksum = 0;
};

[[nodiscard]] result<std::int64_t> number(connection& in, std::string_view sql) {
  std::int64_t found = 0;
  auto done = in.execute(sql, {}, [&](const row& one) {
    found = one.integer(0);
    return false;
  });
  if (!done)
    return failure(done);
  return found;
}

[[nodiscard]] log_position position_from(std::int64_t stored) {
  return log_position(static_cast<std::uint64_t>(stored));
}

/// Of the record at a position, by which a log is known again; empty where that was archived.
[[nodiscard]] result<std::optional<std::int64_t>> checksum_at(const storage::event_log& log,
                                                              log_position at) {
  if (at == log_position(0))
    return std::optional<std::int64_t>(0);
  auto snapshot = log.snapshot();
  if (!snapshot)
    return failure(snapshot);
  if (at < (*snapshot)->first())
    return std::optional<std::int64_t>();
  const auto record = (*snapshot)->at(at);
  if (!record)
    return std::unexpected(record.error());
  return std::optional(std::bit_cast<std::int64_t>(record->header().checksum));
}

[[nodiscard]] std::unexpected<error> wrong(const std::filesystem::path& file, errc code,
                                           std::string_view what) {
  return failure(code, fmt::format("{}: {}; {}", file.string(), what, how_to_make_anew(file)));
}

[[nodiscard]] result<tie> read_tie(connection& in, const std::filesystem::path& file) {
  // Alone first: a newer format may have other columns.
  const auto written = number(in, "select format from acta_view");
  if (!written)
    return std::unexpected(written.error());
  if (*written > format)
    return wrong(file, errc::newer_format,
                 fmt::format("it has format {}, and this program knows {}: use a newer program, or",
                             *written, format));
  std::optional<tie> found;
  auto done =
    in.execute("select store, name, version, part, parts, position, checksum from acta_view", {},
               [&](const row& one) {
                 found = tie{.format = *written,
                             .store = std::string(one.text(0)),
                             .name = std::string(one.text(1)),
                             .version = one.integer(2),
                             .part = one.integer(3),
                             .parts = one.integer(4),
                             .position = position_from(one.integer(5)),
                             .checksum = one.integer(6)};
                 return false;
               });
  if (!done)
    return failure(done);
  if (!found)
    return wrong(file, errc::corrupt, "it does not say what it is a view of");
  return std::move(*found);
}

} // namespace

result<void> create_tie(connection& in, const identity& of, const storage::event_log& log) {
  ensure(in.in_transaction(), "a view is made in one transaction");
  if (auto made = in.script(tables); !made)
    return made;
  const std::array<value, 6> row{format, log.store_id(), of.name, of.version, of.part, of.parts};
  return in.execute("insert into acta_view values (?1, ?2, ?3, ?4, ?5, ?6, 0, 0)", row);
}

result<bool> is_new(connection& in, const std::filesystem::path& file) {
  const auto content = number(in, "select count(*) from sqlite_schema");
  if (!content)
    return std::unexpected(content.error());
  if (*content == 0)
    return true;
  const auto mark = number(in, "pragma application_id");
  if (!mark)
    return std::unexpected(mark.error());
  if (*mark != application)
    return failure(errc::foreign_store,
                   fmt::format("{}: it is a SQLite file of another program; move it away: the view "
                               "is made anew from the log",
                               file.string()));
  return false;
}

result<log_position> check_tie(connection& in, const std::filesystem::path& file,
                               const identity& of, const storage::event_log& log) {
  const auto read = read_tie(in, file);
  if (!read)
    return std::unexpected(read.error());
  const auto& found = *read;
  if (found.name != of.name || found.version != of.version || found.part != of.part
      || found.parts != of.parts)
    return wrong(file, errc::foreign_store,
                 fmt::format("it is view '{}' version {}, part {} of {}, and not '{}' version {}, "
                             "part {} of {}",
                             found.name, found.version, found.part, found.parts, of.name,
                             of.version, of.part, of.parts));
  if (found.store != log.store_id())
    return wrong(file, errc::foreign_store,
                 fmt::format("it is of store {}, and not of {}", found.store, log.store_id()));
  if (found.position > log.tail())
    return wrong(file, errc::corrupt,
                 fmt::format("it is ahead of its log: at position {}, and the log ends at {}",
                             found.position.value(), log.tail().value()));
  const auto checksum = checksum_at(log, found.position);
  if (!checksum)
    return std::unexpected(checksum.error());
  if (*checksum && **checksum != found.checksum)
    return wrong(file, errc::corrupt,
                 fmt::format("it was built of another log: the record at position {} was another "
                             "one then",
                             found.position.value()));
  return found.position;
}

result<void> move_tie(connection& in, const std::filesystem::path& file, log_position from,
                      log_position to, const storage::event_log& log) {
  ensure(in.in_transaction(), "the checkpoint moves with the data");
  result<std::optional<std::int64_t>> checksum;
  if (from != to) // else it has the right one, perhaps of a record that is archived now
    checksum = checksum_at(log, to);
  if (!checksum)
    return failure(checksum);
  const std::array<value, 3> row{from, to, checksum->value_or(0)};
  const std::array<value, 2> same{from, to};
  auto moved =
    *checksum
      ? in.execute("update acta_view set position = ?2, checksum = ?3 where position = ?1", row)
      : in.execute("update acta_view set position = ?2 where position = ?1", same);
  if (!moved)
    return moved;
  if (in.changes() != 1)
    return failure(errc::store_in_use,
                   fmt::format("{}: it is not at position {} any more: another projector feeds it; "
                               "a view has one",
                               file.string(), from.value()));
  return {};
}

result<log_position> position_of(connection& in) {
  const auto stored = number(in, "select position from acta_view");
  if (!stored)
    return std::unexpected(stored.error());
  return position_from(*stored);
}

result<void> put_letters(connection& in, std::span<const dead_letter> letters) {
  for (const auto& one : letters) {
    const std::array<value, 6> row{one.position, one.stream,   std::to_underlying(one.code),
                                   one.why,      one.attempts, one.since_ns};
    auto put = in.execute("replace into acta_dead_letters values (?1, ?2, ?3, ?4, ?5, ?6)", row);
    if (!put)
      return put;
  }
  return {};
}

result<void> erase_letter(connection& in, log_position at) {
  const std::array<value, 1> row{at};
  return in.execute("delete from acta_dead_letters where position = ?1", row);
}

result<std::vector<dead_letter>> letters_of(connection& in) {
  std::vector<dead_letter> all;
  auto done =
    in.execute("select position, stream, code, why, attempts, since_ns from acta_dead_letters "
               "order by position",
               {}, [&](const row& one) {
                 all.push_back({.position = position_from(one.integer(0)),
                                .stream = std::string(one.text(1)),
                                .code = static_cast<errc>(one.integer(2)),
                                .why = std::string(one.text(3)),
                                .attempts = static_cast<std::uint32_t>(one.integer(4)),
                                .since_ns = one.integer(5)});
                 return true;
               });
  if (!done)
    return failure(done);
  return all;
}

result<void> drop_tables(connection& in) {
  ensure(in.in_transaction(), "a view is emptied in one transaction");
  for (;;) { // what goes with another is gone when it is looked for: of a search table, say
    std::string drop;
    auto found = in.execute(
      "select 'drop ' || type || ' \"' || replace(name, '\"', '\"\"') || '\"' from sqlite_schema "
      "where type in ('table', 'view') and name not like 'sqlite\\_%' escape '\\' "
      "and name not like 'acta\\_%' escape '\\' order by sql like 'create virtual %' desc limit 1",
      {}, [&](const row& one) {
        drop = one.text(0);
        return false;
      });
    if (!found)
      return found;
    if (drop.empty())
      return {};
    if (auto dropped = in.script(drop); !dropped)
      return dropped;
  }
}

} // namespace acta::projections::sqlite
