#include "machine.hpp"

#include <fmt/format.h>

#include <fstream>
#include <sched.h>
#include <sstream>
#include <string_view>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <thread>

namespace acta::sim {

namespace {

[[nodiscard]] std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name"))
      if (const auto colon = line.find(": "); colon != std::string::npos)
        return line.substr(colon + 2);
  return "unknown";
}

[[nodiscard]] unsigned usable_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    return static_cast<unsigned>(CPU_COUNT(&set));
  return std::thread::hardware_concurrency();
}

/// The type of the mount with the directory's device number (proc(5), mountinfo).
[[nodiscard]] std::string filesystem_of(const std::filesystem::path& directory) {
  struct stat status{};
  if (::stat(directory.c_str(), &status) != 0)
    return "unknown";
  const auto device = fmt::format("{}:{}", major(status.st_dev), minor(status.st_dev));
  std::ifstream in("/proc/self/mountinfo");
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string id;
    std::string parent;
    std::string number;
    words >> id >> parent >> number;
    const auto dash = line.find(" - ");
    if (number == device && dash != std::string::npos)
      return line.substr(dash + 3, line.find(' ', dash + 3) - dash - 3);
  }
  return "unknown";
}

} // namespace

machine this_machine(const std::filesystem::path& store) {
  return {.cpu = cpu_name(),
          .cores = usable_cores(),
          .filesystem = store.empty() ? "none" : filesystem_of(store)};
}

} // namespace acta::sim
