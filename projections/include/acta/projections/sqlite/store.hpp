#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/projections/dead_letter.hpp>
#include <acta/projections/projection.hpp>
#include <acta/projections/sqlite/database.hpp>
#include <acta/storage/event_log.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace acta::projections::sqlite {

/// Creates the tables of a model.
using creator = result<void> (*)(database&);

/// The file of a sqlite_view, which see, without its model.
class store {
public:
  store(storage::view_identity which, creator create);
  ~store();
  store(const store&) = delete;
  store& operator=(const store&) = delete;

  /// Opens the file, or makes it. Returns the checkpoint.
  [[nodiscard]] result<log_position> attach(const storage::event_log& log);
  /// `handle` does the records of the step.
  [[nodiscard]] step_result apply(const view_step& step,
                                  const std::function<step_result(database&)>& handle);
  [[nodiscard]] result<void> clear();
  [[nodiscard]] result<std::vector<dead_letter>> dead_letters() const;
  /// Calls `look` once, within a transaction, or not at all.
  [[nodiscard]] result<void> read(const std::function<void(const reader&)>& look) const;
  [[nodiscard]] std::filesystem::path file() const;
  [[nodiscard]] const storage::view_identity& which() const noexcept;
  /// As projection::remove_at_end().
  void remove_at_end() noexcept;

private:
  class implementation;
  std::unique_ptr<implementation> implementation_;
};

} // namespace acta::projections::sqlite
