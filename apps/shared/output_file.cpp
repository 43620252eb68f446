#include "output_file.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace acta::apps {

namespace {

[[nodiscard]] std::unexpected<error> cannot_write(const std::filesystem::path& path, int code) {
  return failure(code == ENOSPC ? errc::no_space : errc::io,
                 fmt::format("'{}' cannot be written: {}{}", path.string(),
                             std::generic_category().message(code),
                             code == ENOENT ? "; its directory must exist" : ""));
}

} // namespace

result<output_file> output_file::create(const std::filesystem::path& path) {
  std::error_code unknown;
  const auto there = std::filesystem::status(path, unknown).type();
  const bool plain =
    there == std::filesystem::file_type::regular || there == std::filesystem::file_type::not_found;
  // A link stays one: what it leads to is written. (/dev/stdout may lead to nothing with a name.)
  auto target = path;
  if (plain && std::filesystem::is_symlink(path, unknown))
    if (auto whole = std::filesystem::weakly_canonical(path, unknown); !whole.empty())
      target = std::move(whole);
  auto beside = target;
  if (plain)
    beside += ".unfinished";
  auto* file = std::fopen(beside.c_str(), "wb");
  if (file == nullptr)
    return cannot_write(path, errno);
  return output_file(target, beside, file);
}

output_file::~output_file() {
  if (file_ == nullptr || beside_ == path_)
    return;
  std::error_code ignored;
  std::filesystem::remove(beside_, ignored);
}

void output_file::write(std::string_view text) noexcept {
  (void)std::fwrite(text.data(), 1, text.size(), file_.get()); // the stream remembers an error
}

result<void> output_file::finish() {
  errno = 0;
  const bool written = std::fflush(file_.get()) == 0 && std::ferror(file_.get()) == 0;
  const int code = errno;
  if (!written)
    return cannot_write(path_, code != 0 ? code : EIO);
  file_.reset();
  if (beside_ == path_)
    return {};
  std::error_code failed;
  std::filesystem::rename(beside_, path_, failed);
  if (!failed)
    return {};
  std::error_code ignored;
  std::filesystem::remove(beside_, ignored);
  return cannot_write(path_, failed.value());
}

} // namespace acta::apps
