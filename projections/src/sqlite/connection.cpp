#include "connection.hpp"

#include "error_text.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <algorithm>
#include <utility>

namespace acta::projections::sqlite {

namespace {

/// A statement is reset however it ends: else it would hold its snapshot, and the values.
class resetting {
public:
  explicit resetting(sqlite3_stmt* of) noexcept : of_(of) {}
  ~resetting() {
    sqlite3_reset(of_);
    sqlite3_clear_bindings(of_);
  }
  resetting(const resetting&) = delete;
  resetting& operator=(const resetting&) = delete;

private:
  sqlite3_stmt* of_;
};

/// Binds without a copy: the values outlive the run.
class binder {
public:
  binder(sqlite3_stmt* to, int at) noexcept : to_(to), at_(at) {}
  int operator()(std::nullptr_t) const noexcept { return sqlite3_bind_null(to_, at_); }
  int operator()(std::int64_t number) const noexcept {
    return sqlite3_bind_int64(to_, at_, number);
  }
  int operator()(double number) const noexcept { return sqlite3_bind_double(to_, at_, number); }
  int operator()(std::string_view text) const noexcept { // null would be NULL
    return sqlite3_bind_text64(to_, at_, text.data() == nullptr ? "" : text.data(), text.size(),
                               SQLITE_STATIC, SQLITE_UTF8);
  }
  int operator()(std::span<const std::byte> bytes) const noexcept {
    if (bytes.empty())
      return sqlite3_bind_zeroblob(to_, at_, 0);
    return sqlite3_bind_blob64(to_, at_, bytes.data(), bytes.size(), SQLITE_STATIC);
  }
  int operator()(value::not_held) const noexcept { return SQLITE_MISMATCH; }

private:
  sqlite3_stmt* to_;
  int at_;
};

} // namespace

result<std::unique_ptr<connection>> connection::open(const std::filesystem::path& file, mode how) {
  std::unique_ptr<connection> made(new connection(file));
  const int flags =
    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
    | (how == mode::write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY);
  const int opened = sqlite3_open_v2(file.c_str(), &made->handle_, flags, nullptr);
  if (made->handle_ == nullptr)
    return std::unexpected(error_of(file, "", {.code = SQLITE_NOMEM}));
  if (opened != SQLITE_OK)
    return made->failed(opened, "");
  sqlite3_busy_timeout(made->handle_, static_cast<int>(limits::sqlite_lock_wait.count()));
  sqlite3_set_authorizer(made->handle_, &connection::authorize, made.get());
  return made;
}

connection::~connection() {
  own_.clear();
  others_.clear();
  if (handle_ != nullptr)
    ensure(sqlite3_close(handle_) == SQLITE_OK, "no statement outlives its connection");
}

result<statement> connection::prepare(std::string_view sql, std::string_view* rest) {
  sqlite3_stmt* made = nullptr;
  const char* end = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &made, &end);
  if (code != SQLITE_OK)
    return failed(code, sql);
  statement prepared(made);
  const auto behind = sql.substr(static_cast<std::size_t>(end - sql.data()));
  if (rest != nullptr) {
    *rest = behind;
    return prepared;
  }
  if (prepared == nullptr || behind.find_first_not_of(" \n\t;") != std::string_view::npos)
    return std::unexpected(error_of(
      file_, sql, {.code = SQLITE_ERROR, .text = "it must be one statement, and no more"}));
  return prepared;
}

result<void> connection::bind(sqlite3_stmt* to, std::string_view sql, std::span<const value> with) {
  if (std::cmp_not_equal(sqlite3_bind_parameter_count(to), with.size()))
    return std::unexpected(error_of(
      file_, sql, {.code = SQLITE_ERROR, .text = "it has not as many parameters as values"}));
  int at = 0;
  for (const auto& one : with) {
    const int code = std::visit(binder(to, ++at), one.get());
    if (code == SQLITE_MISMATCH)
      return std::unexpected(error_of(
        file_, sql, {.code = code, .text = "an integer does not fit 64 bits with a sign"}));
    if (code != SQLITE_OK)
      return failed(code, sql);
  }
  return {};
}

result<void> connection::run(sqlite3_stmt* prepared, std::string_view sql, const visitor& look) {
  for (;;) {
    const int code = sqlite3_step(prepared);
    if (code == SQLITE_DONE)
      return {};
    if (code != SQLITE_ROW)
      return failed(code, sql);
    if (look && !look(row(prepared)))
      return {};
  }
}

/// Some errors roll a transaction back, and what follows would be one of its own, committed.
result<void> connection::check_transaction(std::string_view sql) const {
  if (!guarded_ || in_transaction())
    return {};
  if (trouble_)
    return std::unexpected(*trouble_);
  return std::unexpected(error_of(
    file_, sql, {.code = SQLITE_ERROR, .text = "a statement before it rolled the step back"}));
}

result<void> connection::execute(std::string_view sql, std::span<const value> with,
                                 const visitor& look) {
  if (auto whole = check_transaction(sql); !whole)
    return whole;
  auto& kept = guarded_ ? others_ : own_;
  statement once; // of one that is under way already, or one too many
  const auto found = kept.find(sql);
  sqlite3_stmt* prepared = found == kept.end() ? nullptr : found->second.get();
  if (prepared == nullptr || sqlite3_stmt_busy(prepared) != 0) {
    auto made = prepare(sql);
    if (!made)
      return failure(made);
    prepared = made->get();
    if (found == kept.end() && kept.size() < limits::sqlite_statements)
      kept.emplace(sql, std::move(*made));
    else
      once = std::move(*made);
  }
  const resetting at_end(prepared);
  if (auto bound = bind(prepared, sql, with); !bound)
    return bound;
  return run(prepared, sql, look);
}

result<void> connection::script(std::string_view sql) {
  while (!sql.empty()) {
    const auto whole = sql;
    if (auto open = check_transaction(whole); !open)
      return open;
    auto made = prepare(whole, &sql);
    if (!made)
      return failure(made);
    if (*made == nullptr) // nothing but spaces or a comment
      continue;
    if (auto done = run(made->get(), whole.substr(0, whole.size() - sql.size()), {}); !done)
      return done;
  }
  return {};
}

bool connection::in_transaction() const noexcept {
  return sqlite3_get_autocommit(handle_) == 0;
}

void connection::roll_back() noexcept {
  ensure(!guarded_, "a user's statement does not end a transaction");
  if (in_transaction()) // a file's error may have ended it
    (void)sqlite3_exec(handle_, "rollback", nullptr, nullptr, nullptr);
}

std::int64_t connection::changes() const noexcept {
  return sqlite3_changes64(handle_);
}

bool connection::has_moved() const noexcept {
  int moved = 0;
  sqlite3_file_control(handle_, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return moved != 0;
}

std::unexpected<error> connection::failed(int code, std::string_view sql) {
  auto why = error_of(
    file_, sql,
    {.code = code, .system_errno = sqlite3_system_errno(handle_), .text = sqlite3_errmsg(handle_)});
  if (!trouble_ && is_of_file(why.code()))
    trouble_ = why;
  return std::unexpected(std::move(why));
}

/// Called as a statement is prepared.
int connection::authorize(void* self, int action, const char* first, const char* second,
                          const char*, const char*) {
  if (!static_cast<const connection*>(self)->guarded_)
    return SQLITE_OK;
  const auto is_own = [](const char* table) {
    return table != nullptr && std::string_view(table).starts_with("acta_");
  };
  switch (action) {
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT:
    case SQLITE_ATTACH:
    case SQLITE_DETACH: return SQLITE_DENY;
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
    case SQLITE_CREATE_TABLE:
    case SQLITE_DROP_TABLE: return is_own(first) ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_ALTER_TABLE: return is_own(second) ? SQLITE_DENY : SQLITE_OK;
    default: return SQLITE_OK;
  }
}

} // namespace acta::projections::sqlite
