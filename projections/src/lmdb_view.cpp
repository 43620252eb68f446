#include <acta/projections/lmdb_view.hpp>

#include <acta/storage/view_directory.hpp>

#include <cstring>
#include <span>
#include <string>

namespace acta::projections::detail {

namespace {

/// Of the table of dead letters, 0: its key is this and the position, padded.
[[nodiscard]] key_bytes key_of(log_position position) {
  key_bytes key(0);
  key.add(position.value());
  key.pad();
  return key;
}

/// A dead letter as it is stored; the stream and why follow it.
struct stored_letter {
  std::int64_t since_ns = 0;
  std::uint32_t attempts = 0;
  std::uint32_t stream_size = 0;
  std::uint32_t why_size = 0;
  std::uint16_t code = 0;
  std::uint16_t unused = 0;
};
static_assert(sizeof(stored_letter) == 24);

[[nodiscard]] std::string stored(const dead_letter& one) {
  const stored_letter fixed{.since_ns = one.since_ns,
                            .attempts = one.attempts,
                            .stream_size = static_cast<std::uint32_t>(one.stream.size()),
                            .why_size = static_cast<std::uint32_t>(one.why.size()),
                            .code = static_cast<std::uint16_t>(one.code)};
  std::string bytes(sizeof fixed, '\0');
  std::memcpy(bytes.data(), &fixed, sizeof fixed);
  return bytes + one.stream + one.why;
}

/// Empty if it is damaged.
[[nodiscard]] std::optional<dead_letter> read_letter(std::span<const std::byte> key,
                                                     std::span<const std::byte> value) {
  key_reader parts(key);
  const log_position position(parts.read<std::uint64_t>());
  stored_letter fixed;
  if (!parts.is_whole() || value.size() < sizeof fixed)
    return std::nullopt;
  std::memcpy(&fixed, value.data(), sizeof fixed);
  const std::string_view texts(reinterpret_cast<const char*>(value.data()) + sizeof fixed,
                               value.size() - sizeof fixed);
  if (std::uint64_t{fixed.stream_size} + fixed.why_size > texts.size())
    return std::nullopt;
  return dead_letter{.position = position,
                     .stream = std::string(texts.substr(0, fixed.stream_size)),
                     .code = static_cast<errc>(fixed.code),
                     .why = std::string(texts.substr(fixed.stream_size, fixed.why_size)),
                     .attempts = fixed.attempts,
                     .since_ns = fixed.since_ns};
}

} // namespace

result<log_position> tables_on_disk::open(const storage::event_log& log) {
  const std::lock_guard guard(mutex_);
  if (file_.use_count() <= 1 || log_ != &log)
    file_.reset();
  log_ = &log;
  directory_ = storage::view_directory(log.directory(), which_);
  auto opened = storage::open_view(log, which_);
  // It is not open twice, and who reads it keeps it open: then it is used as it is.
  if (!opened && opened.error().code() == errc::store_in_use && file_)
    return file_->position();
  file_.reset();
  if (!opened)
    return failure(opened);
  file_ = std::move(*opened);
  return file_->position();
}

tables_on_disk::~tables_on_disk() {
  file_.reset();
  if (!is_replaced_.load(std::memory_order_relaxed))
    return;
  // If it cannot be, the next start does it.
  [[maybe_unused]] const auto removed = storage::remove_view(directory_);
}

result<std::shared_ptr<storage::view_file>> tables_on_disk::file() const {
  const std::lock_guard guard(mutex_);
  if (!file_)
    return failure(errc::not_found, "view '" + which_.label()
                                      + "' is not open: start its projector, or attach() it, and "
                                        "see what that says");
  return file_;
}

result<void> tables_on_disk::read(const reading& look) const {
  auto from = file();
  if (!from)
    return failure(from);
  return (*from)->read([&](const storage::view_reader& now) {
    const table_reader tables(now);
    look(tables);
    return tables.status();
  });
}

result<void> tables_on_disk::write(const view_step& step, const handling& handle) {
  auto to = file();
  if (!to)
    return failure(to);
  return (*to)->write(step.reached, [&](storage::view_writer& writer) -> result<void> {
    table_writer tables(writer);
    if (auto handled = handle(tables); !handled)
      return handled;
    for (const auto& one : step.dead) {
      const auto letter = stored(one);
      if (auto put = writer.put(key_of(one.position).bytes(), std::as_bytes(std::span(letter)));
          !put)
        return put;
    }
    if (step.revived != log_position(0))
      if (auto erased = writer.erase(key_of(step.revived).bytes()); !erased)
        return failure(erased);
    return {};
  });
}

result<void> tables_on_disk::clear() {
  auto cleared = try_to_clear();
  if (cleared || log_ == nullptr)
    return cleared;
  const auto code = cleared.error().code();
  if (code != errc::corrupt && code != errc::not_found)
    return cleared;
  return begin_anew(); // nothing of it is wanted any more
}

result<void> tables_on_disk::try_to_clear() {
  auto of = file();
  if (!of && log_ != nullptr) { // it could not be opened again
    if (auto opened = open(*log_); !opened)
      return failure(opened);
    of = file();
  }
  if (!of)
    return failure(of);
  return (*of)->clear();
}

result<void> tables_on_disk::begin_anew() {
  if (auto removed = storage::remove_view(directory_); !removed)
    return removed;
  {
    const std::lock_guard guard(mutex_);
    file_.reset(); // not to be used on, though somebody reads it
  }
  auto opened = open(*log_);
  if (!opened)
    return failure(opened);
  return {};
}

result<std::vector<dead_letter>> tables_on_disk::dead_letters() const {
  auto from = file();
  if (!from)
    return failure(from);
  std::vector<dead_letter> all;
  const key_bytes first(0);
  const key_bytes end(1);
  bool is_damaged = false;
  auto read = (*from)->read([&](const storage::view_reader& now) {
    return now.scan(first.bytes(), end.bytes(), storage::direction::forward,
                    [&](std::span<const std::byte> key, std::span<const std::byte> value) {
                      auto one = read_letter(key, value);
                      is_damaged = is_damaged || !one;
                      if (one)
                        all.push_back(std::move(*one));
                      return one.has_value();
                    });
  });
  if (!read)
    return failure(read);
  if (is_damaged)
    return failure(errc::corrupt, "view '" + which_.label()
                                    + "' has a dead letter that is damaged; close the store and "
                                      "remove the view's directory: it is made anew");
  return all;
}

} // namespace acta::projections::detail
