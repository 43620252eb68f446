#include "reader_pool.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <utility>

namespace acta::projections::sqlite {

void reader_pool::open(const std::filesystem::path& file) {
  const std::lock_guard guard(mutex_);
  file_ = file;
  kept_.clear();
}

std::filesystem::path reader_pool::file() const {
  const std::lock_guard guard(mutex_);
  return file_;
}

result<std::unique_ptr<connection>> reader_pool::take() {
  while (auto kept = take_kept())
    if (!kept->has_moved())
      return kept;
  const auto of = file();
  if (of.empty())
    return failure(errc::invalid_argument, "view '" + name_
                                             + "' is attached to no log yet: start a projector, or "
                                               "replay() a log to it");
  return connection::open(of, connection::mode::read);
}

std::unique_ptr<connection> reader_pool::take_kept() {
  const std::lock_guard guard(mutex_);
  if (kept_.empty())
    return nullptr;
  auto one = std::move(kept_.back());
  kept_.pop_back();
  return one;
}

void reader_pool::give_back(std::unique_ptr<connection> one) {
  ensure(!one->in_transaction(), "a reader's snapshot ends before its connection is free");
  if (one->trouble())
    return;
  const std::lock_guard guard(mutex_);
  if (kept_.size() < limits::sqlite_readers_kept)
    kept_.push_back(std::move(one));
}

} // namespace acta::projections::sqlite
