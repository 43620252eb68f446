#include "snapshot_format.hpp"

#include <acta/base/ensure.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace acta::storage {

namespace {

/// The same keys and values as on disk, in a map. Values are shared with those who read them, so
/// that they read without the lock.
class memory_snapshots final : public snapshot_store {
public:
  explicit memory_snapshots(std::size_t keep) : keep_(keep) {}

  result<void> save(std::span<const snapshot_to_save> all) override {
    const std::lock_guard guard(mutex_);
    for (const auto& one : all) {
      if (auto checked = check_snapshot(one); !checked)
        return checked;
      if (auto expected = check_newest(one, versions_of(one.stream)); !expected)
        return expected;
    }
    for (const auto& one : all) {
      const auto versions = versions_of(one.stream);
      for (const auto version : replaced_by(one.snapshot.version, versions, keep_))
        ensure(values_.erase(key_of(one.stream, version)) == 1, "what is replaced was there");
      values_[key_of(one.stream, one.snapshot.version)] = encoded(one.snapshot);
    }
    return {};
  }

  result<void> read(const stream_id& stream, const snapshot_criteria& criteria,
                    const reader& look) const override {
    for (const auto& [version, words] : find(stream, criteria)) {
      const auto one = parse_snapshot(stream, version, std::as_bytes(std::span(*words)));
      if (matches(criteria, one) && !look(one))
        break;
    }
    return {};
  }

  result<std::size_t> remove(const stream_id& stream, const snapshot_criteria& criteria) override {
    std::size_t removed = 0;
    for (const auto& [version, words] : find(stream, criteria)) {
      const std::lock_guard guard(mutex_);
      if (matches(criteria, parse_snapshot(stream, version, std::as_bytes(std::span(*words)))))
        removed += values_.erase(key_of(stream, version));
    }
    return removed;
  }

private:
  using value = std::shared_ptr<const std::vector<std::uint64_t>>;

  [[nodiscard]] static std::string key_of(const stream_id& stream, stream_version version) {
    const snapshot_key key(stream, version);
    return {reinterpret_cast<const char*>(key.bytes().data()), key.bytes().size()};
  }

  [[nodiscard]] static value encoded(const stream_snapshot& one) {
    std::vector<std::uint64_t> words(snapshot_size(one) / sizeof(std::uint64_t));
    encode_snapshot(one, reinterpret_cast<std::byte*>(words.data()));
    return std::make_shared<const std::vector<std::uint64_t>>(std::move(words));
  }

  /// Newest first. The lock is held.
  [[nodiscard]] std::vector<std::pair<stream_version, value>>
  between(const stream_id& stream, stream_version min, stream_version max) const {
    std::vector<std::pair<stream_version, value>> found;
    const auto first = values_.lower_bound(key_of(stream, min));
    for (auto one = values_.upper_bound(key_of(stream, max)); one != first;) {
      --one;
      found.emplace_back(snapshot_key::version_in(std::as_bytes(std::span(one->first))),
                         one->second);
    }
    return found;
  }

  [[nodiscard]] std::vector<stream_version> versions_of(const stream_id& stream) const {
    std::vector<stream_version> versions;
    for (const auto& one : between(stream, {}, snapshot_criteria{}.max_version))
      versions.push_back(one.first);
    return versions;
  }

  [[nodiscard]] std::vector<std::pair<stream_version, value>>
  find(const stream_id& stream, const snapshot_criteria& criteria) const {
    if (criteria.min_version > criteria.max_version)
      return {};
    const std::lock_guard guard(mutex_);
    return between(stream, criteria.min_version, criteria.max_version);
  }

  std::size_t keep_;
  mutable std::mutex mutex_;
  std::map<std::string, value> values_; // by the bytes of the key
};

} // namespace

std::unique_ptr<snapshot_store> make_memory_snapshots(std::size_t keep) {
  return std::make_unique<memory_snapshots>(keep);
}

} // namespace acta::storage
