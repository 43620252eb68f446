#pragma once

#include <acta/base/error.hpp>
#include <acta/projections/sqlite/database.hpp>

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

namespace acta::projections::sqlite {

struct finalizer {
  void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};
using statement = std::unique_ptr<sqlite3_stmt, finalizer>;

/// A file of SQLite, opened, with the statements that were prepared on it. One thread at a time.
class connection {
public:
  enum class mode : std::uint8_t { read, write };

  /// A file that is to be written is made if there is none. It is not read yet.
  [[nodiscard]] static result<std::unique_ptr<connection>> open(const std::filesystem::path& file,
                                                                mode how);
  ~connection();
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  using visitor = std::function<bool(const row&)>;
  /// Runs one statement, until `look` has seen enough; without it rows are passed over.
  [[nodiscard]] result<void> execute(std::string_view sql, std::span<const value> with = {},
                                     const visitor& look = {});
  [[nodiscard]] result<void> script(std::string_view sql);

  [[nodiscard]] bool in_transaction() const noexcept;
  void roll_back() noexcept;
  /// Rows that the last statement changed.
  [[nodiscard]] std::int64_t changes() const noexcept;
  /// True if the file was removed, renamed or replaced since it was opened.
  [[nodiscard]] bool has_moved() const noexcept;

  /// The first error since forget_trouble() that is the file's and not a statement's.
  [[nodiscard]] const std::optional<error>& trouble() const noexcept { return trouble_; }
  void forget_trouble() noexcept { trouble_.reset(); }

  /// While one is, what runs is a user's, who may not end transactions, attach files, or write to
  /// the view's own tables. Nothing may be nested in it.
  class guard {
  public:
    explicit guard(connection& of) noexcept : of_(of) { of_.guarded_ = true; }
    ~guard() { of_.guarded_ = false; }
    guard(const guard&) = delete;
    guard& operator=(const guard&) = delete;

  private:
    connection& of_;
  };

private:
  struct hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>()(text);
    }
  };
  using cache = std::unordered_map<std::string, statement, hash, std::equal_to<>>;

  explicit connection(std::filesystem::path file) : file_(std::move(file)) {}
  [[nodiscard]] result<statement> prepare(std::string_view sql, std::string_view* rest = nullptr);
  [[nodiscard]] result<void> bind(sqlite3_stmt* to, std::string_view sql,
                                  std::span<const value> with);
  [[nodiscard]] result<void> run(sqlite3_stmt* prepared, std::string_view sql, const visitor& look);
  [[nodiscard]] result<void> check_transaction(std::string_view sql) const;
  [[nodiscard]] std::unexpected<error> failed(int code, std::string_view sql);
  static int authorize(void* self, int action, const char* first, const char* second,
                       const char* schema, const char* trigger);

  std::filesystem::path file_;
  sqlite3* handle_ = nullptr;
  bool guarded_ = false;
  cache own_;    ///< Statements of the view.
  cache others_; ///< Those of its user, prepared under a guard.
  std::optional<error> trouble_;
};

} // namespace acta::projections::sqlite
