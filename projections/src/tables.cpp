#include <acta/projections/tables.hpp>

#include <string>

namespace acta::projections {

namespace {

[[nodiscard]] error too_long() {
  return {errc::too_large, "a key of a view's table takes over "
                             + std::to_string(limits::max_view_key)
                             + " bytes; choose a shorter one"};
}

} // namespace

void table_reader::fail(error why) const {
  if (status_)
    status_ = std::unexpected(std::move(why));
}

void table_reader::fail_as_damaged() const {
  fail({errc::corrupt, "a view's table has an entry that is not of its types: it is damaged, or "
                       "the model's version was not raised when they changed; close the store, "
                       "remove the view's directory and open it again: it is made anew"});
}

std::optional<table_reader::bytes> table_reader::find(const key_bytes& key) const {
  if (key.is_too_long())
    fail(too_long());
  if (!status_)
    return std::nullopt;
  auto found = in_.get(key.bytes());
  if (!found) {
    fail(std::move(found.error()));
    return std::nullopt;
  }
  return *found;
}

void table_reader::scan(const key_bytes& from, const key_bytes& to, storage::direction way,
                        const storage::view_reader::look& show) const {
  if (from.is_too_long() || to.is_too_long())
    fail(too_long());
  if (!status_)
    return;
  if (auto done = in_.scan(from.bytes(), to.bytes(), way, show); !done)
    fail(std::move(done.error()));
}

void table_writer::put(const key_bytes& key, bytes value) {
  if (key.is_too_long())
    fail(too_long());
  if (!status())
    return;
  if (auto done = to_.put(key.bytes(), value); !done)
    fail(std::move(done.error()));
}

bool table_writer::erase(const key_bytes& key) {
  if (key.is_too_long())
    fail(too_long());
  if (!status())
    return false;
  auto done = to_.erase(key.bytes());
  if (!done)
    fail(std::move(done.error()));
  return done.value_or(false);
}

} // namespace acta::projections
