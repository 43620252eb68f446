#pragma once

#include <acta/base/error.hpp>
#include <acta/base/limits.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>

namespace acta::storage {

/// Names and their ids 1, 2, 3, ... in order of arrival. Names are never removed and never move, so
/// a name handed out stays valid. Thread-safe.
template <class Id>
class dictionary {
public:
  /// The name's id; Id(0) if it is unknown.
  [[nodiscard]] Id find(std::string_view name) const {
    const std::lock_guard guard(mutex_);
    return find_locked(name);
  }

  [[nodiscard]] result<Id> find_or_add(std::string_view name) {
    const std::lock_guard guard(mutex_);
    if (const auto known = find_locked(name); known != Id(0))
      return known;
    if (name.empty())
      return failure(errc::invalid_argument, "a category or event type has an empty name");
    if (names_.size() == limits::max_types)
      return failure(errc::too_large, "the store has 65,535 names already, as many as it can; '"
                                        + std::string(name) + "' cannot be added");
    names_.emplace_back(name);
    return Id(static_cast<std::uint16_t>(names_.size()));
  }

  /// The name of an id; empty if there is none.
  [[nodiscard]] std::string_view name(Id id) const noexcept {
    const std::lock_guard guard(mutex_);
    if (id == Id(0) || id.value() > names_.size())
      return {};
    return names_[id.value() - 1U];
  }

  /// Takes the newest name back: it could not be stored.
  void remove_newest() {
    const std::lock_guard guard(mutex_);
    names_.pop_back();
  }

  [[nodiscard]] std::size_t size() const noexcept {
    const std::lock_guard guard(mutex_);
    return names_.size();
  }

private:
  [[nodiscard]] Id find_locked(std::string_view name) const {
    for (std::size_t i = 0; i < names_.size(); ++i)
      if (names_[i] == name)
        return Id(static_cast<std::uint16_t>(i + 1));
    return Id(0);
  }

  mutable std::mutex mutex_;
  std::deque<std::string> names_; // a deque: names must not move
};

} // namespace acta::storage
