#pragma once

#include "index_key.hpp"

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/storage/record.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace acta::storage {

/// Events of the log, to be sorted by stream: 16 bytes each where the key is an integer, 24 where
/// not. Keys that are no integers are borrowed from the records.
class index_batch {
public:
  /// Where an event is, and the lower part of its version.
  struct event {
    static constexpr unsigned version_bits = 24;
    std::uint64_t position : 40;
    std::uint64_t version_part : version_bits;
  };

  void add(const record_view& record);

  /// True if a version was added that is not the same as its lower part.
  [[nodiscard]] bool has_large_versions() const noexcept { return has_large_versions_; }

  /// Shows each stream, in the order of keys, with its events in theirs, until an error. Once.
  using show_stream = std::function<result<void>(index_key&, std::span<const event>)>;
  [[nodiscard]] result<void> each_stream(const show_stream& show);

private:
  template <class Key>
  struct keyed {
    Key key;
    event of;

    bool operator<(const keyed& other) const noexcept {
      return key != other.key ? key < other.key : of.position < other.of.position;
    }
  };
  struct partition {
    std::vector<keyed<std::uint64_t>> integers;
    std::vector<keyed<std::string_view>> others;
  };

  template <class Key, class MakeKey>
  [[nodiscard]] result<void> each_run(std::vector<keyed<Key>>& all, MakeKey make_key,
                                      const show_stream& show);

  std::map<std::pair<category_id, key_kind>, partition> partitions_;
  std::vector<event> run_; ///< Memory kept.
  bool has_large_versions_ = false;
};

} // namespace acta::storage
