#include "lmdb_file.hpp"

#include "lmdb_error.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <system_error>

namespace acta::storage {

using lmdb_format::page_header;

namespace {

[[nodiscard]] bool is_page_size(std::uint64_t size) noexcept {
  return std::has_single_bit(size) && size >= lmdb_format::min_page_size
         && size <= lmdb_format::max_page_size;
}

[[nodiscard]] bool is_same(const lmdb_format::meta& a, const lmdb_format::meta& b) noexcept {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

} // namespace

result<lmdb_file> lmdb_file::open(const std::filesystem::path& path, problem_sink problems) {
  file data(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!data.is_open())
    return system_failure(errno, path, "open");
  struct stat status{};
  if (::fstat(data.descriptor(), &status) != 0)
    return system_failure(errno, path, "looking at its size");
  if (!S_ISREG(status.st_mode))
    return failure(errc::corrupt,
                   fmt::format("'{}' is not a file; restore a backup", path.string()));
  lmdb_file made(path, std::move(data), static_cast<std::uint64_t>(status.st_size),
                 std::move(problems));
  if (auto read = made.read_metas(); !read)
    return failure(read);
  return made;
}

/// The second meta page lies one page behind the first, and only the first says how large a page
/// is: where that is damaged, the second is looked for.
result<void> lmdb_file::read_metas() {
  metas_[0] = read_meta(0, 0);
  if (metas_[0])
    metas_[1] = read_meta(1, page_size_ = metas_[0]->free_pages.page_size);
  for (auto size = lmdb_format::min_page_size; !metas_[1] && size <= lmdb_format::max_page_size;
       size *= 2) {
    metas_[1] = read_meta(1, size);
    if (metas_[1] && metas_[1]->free_pages.page_size != size)
      metas_[1].reset();
    if (metas_[1])
      page_size_ = size;
  }
  if (!metas_[0] && !metas_[1]) {
    if (versions_[0] && versions_[0] == versions_[1] && *versions_[0] != lmdb_format::data_version)
      return failure(errc::newer_format, fmt::format("'{}' was written by another version of LMDB; "
                                                     "use that one",
                                                     path_.string()));
    return failure(
      errc::corrupt,
      fmt::format("'{}' is damaged at its beginning, or not a file of LMDB: neither of "
                  "its meta pages can be read; restore a backup",
                  path_.string()));
  }
  newest_ = metas_[0] && (!metas_[1] || metas_[0]->transaction >= metas_[1]->transaction) ? 0 : 1;
  ensure(metas_[newest_].has_value(), "the meta page that is taken is one that reads");
  ensure(is_page_size(page_size_), "pages have a size that LMDB gives them");
  taken_.assign(pages(), false);
  check_metas();
  return {};
}

std::optional<lmdb_format::meta> lmdb_file::read_meta(std::uint64_t number, std::uint64_t at) {
  std::array<std::byte, sizeof(page_header) + sizeof(lmdb_format::meta)> bytes{};
  const auto got = ::pread(data_.descriptor(), bytes.data(), bytes.size(), static_cast<off_t>(at));
  if (got != static_cast<ssize_t>(bytes.size()))
    return std::nullopt;
  const auto header = lmdb_format::load<page_header>(bytes, 0);
  const auto meta = lmdb_format::load<lmdb_format::meta>(bytes, sizeof header);
  if (header.flags != lmdb_format::meta_page || header.number != number
      || meta.magic != lmdb_format::magic)
    return std::nullopt;
  versions_[number] = meta.version;
  if (meta.version != lmdb_format::data_version || !is_page_size(meta.free_pages.page_size))
    return std::nullopt;
  return meta;
}

/// Transaction N writes meta page N % 2, so the two follow one another; unless one state was
/// written to both: a new file, or a store that was taken back to its last sync.
void lmdb_file::check_metas() {
  for (std::uint64_t number = 0; number < metas_.size(); ++number)
    if (!metas_[number])
      tell(number, 0, "meta", "it is damaged: this is no meta page");
  const auto& newest = *metas_[newest_];
  const auto& other = metas_[1 - newest_];
  if (other && other->free_pages.page_size != newest.free_pages.page_size)
    tell(1 - newest_, sizeof(page_header), "meta", "it tells of another page size");
  const bool follows = other && newest.transaction == other->transaction + 1
                       && newest.transaction % lmdb_format::meta_pages == newest_;
  // Where the write of a meta page fails, LMDB writes it again with the transaction it had: where
  // that was the first of all, both are of none.
  const bool is_empty = other && newest.transaction == 0 && other->transaction == 0;
  if (other && !follows && !is_empty && !is_same(newest, *other))
    tell(newest_, sizeof(page_header), "meta",
         fmt::format("the meta pages are of transactions {} and {}, which do not follow one "
                     "another",
                     metas_[0]->transaction, metas_[1]->transaction));
  if (newest.free_pages.flags != lmdb_format::integer_keys || newest.main.flags != 0)
    tell(newest_, sizeof(page_header), "meta", "it tells of kinds of trees that no store has");
  if (newest.last_page < lmdb_format::meta_pages - 1)
    tell(newest_, sizeof(page_header), "meta", "its last page cannot be");
  if (newest.last_page >= pages()) // LMDB does not write a free one; our logs do: fill_up()
    tell(newest_, sizeof(page_header), "meta",
         fmt::format("the last page is {}, but the file has {}, in {} bytes: it was cut short",
                     newest.last_page, pages(), size_));
}

bool lmdb_file::take_other_meta() {
  if (!metas_[1 - newest_])
    return false;
  newest_ = 1 - newest_;
  ensure(metas_[newest_].has_value(), "the meta page that is taken is one that reads");
  give_all_back();
  return true;
}

bool lmdb_file::take(std::uint64_t page, std::uint64_t count, std::string_view of) {
  ensure(count != 0, "whoever takes pages takes one at least");
  const auto last = meta().last_page;
  if (page < lmdb_format::meta_pages || page > last || count - 1 > last - page) {
    tell(page, 0, of, fmt::format("there is no such page: the last is {}", last));
    return false;
  }
  if (page >= pages() || count > pages() - page) {
    tell(page, 0, of, fmt::format("it lies behind the end of the file, which has {} bytes", size_));
    return false;
  }
  for (auto one = page; one < page + count; ++one) {
    if (taken_[one]) {
      tell(one, 0, of, "it is used twice");
      return false;
    }
  }
  for (auto one = page; one < page + count; ++one)
    taken_[one] = true;
  return true;
}

bool lmdb_file::read(std::uint64_t page, std::span<std::byte> to, std::string_view of) {
  const auto at = page * page_size_;
  ensure(at < size_ && to.size() <= size_ - at, "only what is in the file is read");
  if (is_stopped())
    return false;
  ++pages_read_;
  --pages_left_;
  for (std::size_t done = 0; done < to.size();) {
    const auto got = ::pread(data_.descriptor(), to.data() + done, to.size() - done,
                             static_cast<off_t>(at + done));
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0) {
      const auto why = got < 0 ? std::generic_category().message(errno) : "the file ends there";
      tell(page, 0, of, fmt::format("it cannot be read: {}", why));
      return false;
    }
    done += static_cast<std::size_t>(got);
  }
  return true;
}

void lmdb_file::tell(std::uint64_t page, std::size_t offset, std::string_view of,
                     std::string_view what) {
  ++problem_count_;
  // A page number out of a damaged page may be anything: its place is clamped to the file.
  const auto byte = page < pages() ? page * page_size_ + offset : size_;
  if (!problems_({page, byte, fmt::format("page {} of '{}', byte {}: {}", page, of, byte, what)}))
    stopped_ = true;
}

} // namespace acta::storage
