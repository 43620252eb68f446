#pragma once

#include "file.hpp"
#include "lmdb_format.hpp"

#include <acta/base/error.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace acta::storage {

/// Something wrong with a page.
struct page_problem {
  std::uint64_t page;
  std::uint64_t byte; ///< In the file.
  std::string what;   ///< Names the page, the byte and the database.
};

/// An LMDB data file, read page by page with pread(2) and without LMDB: whatever its bytes are,
/// nothing outside of it is read, and a page the device cannot read is a problem, not a SIGBUS.
/// Nobody may write it meanwhile. What is wrong is told to a sink as it is met, and reading goes on
/// unless the sink says no. One thread.
class lmdb_file {
public:
  /// False to stop.
  using problem_sink = std::function<bool(page_problem&&)>;

  /// Checks both meta pages and takes the newer as LMDB does. Errors: those of the system;
  /// errc::corrupt if neither meta page can be used, newer_format if both are of another LMDB.
  [[nodiscard]] static result<lmdb_file> open(const std::filesystem::path& path,
                                              problem_sink problems);

  /// Goes back to the state before the last commit, and to no page used. False if there is none.
  [[nodiscard]] bool take_other_meta();

  [[nodiscard]] const lmdb_format::meta& meta() const noexcept { return *metas_[newest_]; }
  [[nodiscard]] std::uint64_t meta_number() const noexcept { return newest_; }
  [[nodiscard]] std::size_t page_size() const noexcept { return page_size_; }
  /// Whole ones.
  [[nodiscard]] std::uint64_t pages() const noexcept { return size_ / page_size_; }
  /// How many more pages may be read. When there are none, walks end early.
  void limit_pages(std::uint64_t most) noexcept { pages_left_ = most; }
  [[nodiscard]] std::uint64_t pages_left() const noexcept { return pages_left_; }
  [[nodiscard]] std::uint64_t pages_read() const noexcept { return pages_read_; }
  [[nodiscard]] std::uint64_t problems() const noexcept { return problem_count_; }
  /// The sink said no, or the pages that may be read are read.
  [[nodiscard]] bool is_stopped() const noexcept { return stopped_ || pages_left_ == 0; }

  /// Takes pages for the database `of`, telling why not: they are out of the file or of what was
  /// committed, or taken already.
  [[nodiscard]] bool take(std::uint64_t page, std::uint64_t count, std::string_view of);
  /// Pages in use, of those the file has. Free ones are counted by who reads them.
  [[nodiscard]] bool is_taken(std::uint64_t page) const noexcept { return taken_[page]; }
  void give_all_back() { taken_.assign(taken_.size(), false); }

  /// `to.size()` bytes from the beginning of a page on; they must be within the file.
  [[nodiscard]] bool read(std::uint64_t page, std::span<std::byte> to, std::string_view of);

  void tell(std::uint64_t page, std::size_t offset, std::string_view of, std::string_view what);

private:
  lmdb_file(std::filesystem::path path, file data, std::uint64_t size, problem_sink problems)
      : path_(std::move(path)), data_(std::move(data)), size_(size),
        problems_(std::move(problems)) {}

  [[nodiscard]] result<void> read_metas();
  [[nodiscard]] std::optional<lmdb_format::meta> read_meta(std::uint64_t number, std::uint64_t at);
  void check_metas();

  std::filesystem::path path_;
  file data_;
  std::uint64_t size_;
  problem_sink problems_;
  std::size_t page_size_ = lmdb_format::min_page_size;
  std::array<std::optional<lmdb_format::meta>, lmdb_format::meta_pages> metas_;
  std::size_t newest_ = 0;
  std::array<std::optional<std::uint32_t>, lmdb_format::meta_pages> versions_; ///< Of LMDB.
  std::vector<bool> taken_;
  std::uint64_t pages_left_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t pages_read_ = 0;
  std::uint64_t problem_count_ = 0;
  bool stopped_ = false;
};

} // namespace acta::storage
