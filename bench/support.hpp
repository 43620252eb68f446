#pragma once

#include <acta/base/error.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

/// What the programs share: a bench that cannot go on ends, and says why.
namespace acta::bench {

/// Ends the program with status 1; standard error has its name and `why`.
[[noreturn]] void give_up(const std::string& why);

template <class T>
T value_or_give_up(result<T>&& of) {
  if (!of)
    give_up(of.error().message());
  if constexpr (!std::is_void_v<T>)
    return std::move(*of);
}

/// A fresh directory on the device that is measured, removed at the end.
class store_directory {
public:
  explicit store_directory(const std::filesystem::path& below);
  ~store_directory();
  store_directory(const store_directory&) = delete;
  store_directory& operator=(const store_directory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  /// In it; not there yet.
  [[nodiscard]] std::filesystem::path store() const { return path_ / "store"; }

private:
  std::filesystem::path path_;
};

/// Bytes of this process that belong to no file (RssAnon in /proc/self/status).
[[nodiscard]] double anonymous_bytes();

[[nodiscard]] inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Seconds of processor time of this process's threads, by their names.
[[nodiscard]] std::map<std::string, double> processor_times();
/// What came since, in microseconds a command.
[[nodiscard]] std::map<std::string, double>
processor_us_since(const std::map<std::string, double>& before, std::uint64_t commands);
void print_processor_us(const std::map<std::string, double>& us);

/// Sorts them. 0 of none.
[[nodiscard]] double percentile(std::vector<double>& of, double percent);
/// 0 of none.
[[nodiscard]] double median(std::vector<double> of);

} // namespace acta::bench
