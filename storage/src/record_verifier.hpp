#pragma once

#include "command_check.hpp"
#include "payload_check.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/record.hpp>
#include <acta/storage/verify.hpp>

#include <tsl/robin_map.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace acta::storage {

/// The names in a store; empty for an id that has none.
struct type_names {
  std::function<std::string_view(category_id)> category;
  std::function<std::string_view(event_type_id)> event_type;
};

/// Checks a log's records, given one after another from its first position on, and keeps what it
/// finds.
class record_verifier {
public:
  record_verifier(type_names names, std::size_t max_findings);

  /// Before all others: the position the log begins at, if not 1. Streams may then begin at any
  /// version, as what was before it is archived.
  void begin_at(log_position first);
  /// From now on payloads are checked, too. What is wrong with one is found, and nothing more: the
  /// record is as sound as it was written.
  void check_payloads(payload_check::schema_source schemas) {
    payloads_.emplace(std::move(schemas));
  }

  /// Where the next findings are.
  void set_place(std::string file, std::uint64_t byte);

  /// False if there is something wrong with it.
  bool check(const record_view& record);
  /// The next record does not read.
  void check_unreadable(log_position position, error&& why);
  /// The next records, up to this one, are not there.
  void check_missing(log_position last, std::string_view in);
  /// The position that comes next.
  [[nodiscard]] log_position next() const noexcept { return next_; }

  /// Something that is of no record.
  void add(std::string&& what) { add(log_position(0), std::move(what), std::nullopt); }
  void add(log_position position, std::string&& what, std::optional<stream_id> stream);
  [[nodiscard]] std::uint64_t problems() const noexcept { return found_.problems; }

  /// After the last record, at `tail`.
  [[nodiscard]] verification end(log_position tail);

private:
  void check_names(const record_view& record);
  void check_version(const record_view& record);
  void add(const record_view& record, const std::string& what);

  type_names names_;
  log_position first_{1};
  log_position next_{1};
  std::size_t max_;
  std::string file_;
  std::uint64_t byte_ = 0;
  verification found_;
  command_check commands_;
  std::optional<payload_check> payloads_;
  std::int64_t date_ns_ = std::numeric_limits<std::int64_t>::min();
  /// By stream_hash(), whose 64 bits two of a thousand million streams share once in 37 logs.
  tsl::robin_map<std::uint64_t, std::uint64_t> versions_;
};

} // namespace acta::storage
