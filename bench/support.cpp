#include "support.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <system_error>

namespace acta::bench {

void give_up(const std::string& why) {
  fmt::print(stderr, "{}: {}\n", program_invocation_short_name, why);
  std::exit(1);
}

store_directory::store_directory(const std::filesystem::path& below) {
  auto pattern = (below / "acta-bench-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr)
    give_up(fmt::format("'{}': no directory can be made there", below.string()));
  path_ = pattern;
}

store_directory::~store_directory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

double anonymous_bytes() {
  std::ifstream in("/proc/self/status");
  for (std::string word; in >> word;)
    if (word == "RssAnon:") {
      double kib = 0;
      in >> kib;
      return kib * 1'024;
    }
  give_up("/proc/self/status has no RssAnon");
}

std::map<std::string, double> processor_times() {
  std::map<std::string, double> times;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream in(task.path() / "stat");
    std::string line;
    std::getline(in, line);
    const auto open = line.find('(');
    const auto close = line.rfind(')');
    if (open == std::string::npos || close == std::string::npos)
      continue;
    std::istringstream rest(line.substr(close + 2));
    std::vector<std::string> fields;
    for (std::string field; rest >> field;)
      fields.push_back(field);
    times[line.substr(open + 1, close - open - 1)] +=
      (std::stod(fields.at(11)) + std::stod(fields.at(12)))
      / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  return times;
}

std::map<std::string, double> processor_us_since(const std::map<std::string, double>& before,
                                                 std::uint64_t commands) {
  std::map<std::string, double> each;
  for (const auto& [name, seconds] : processor_times()) {
    const auto was = before.find(name);
    each[name] =
      (seconds - (was == before.end() ? 0 : was->second)) * 1e6 / static_cast<double>(commands);
  }
  return each;
}

void print_processor_us(const std::map<std::string, double>& us) {
  fmt::print("    processor time, us a command:");
  for (const auto& [name, each] : us)
    if (each >= 0.005)
      fmt::print(" {} {:.2f}", name, each);
  fmt::print("\n");
}

double percentile(std::vector<double>& of, double percent) {
  if (of.empty())
    return 0;
  std::ranges::sort(of);
  const auto rank = static_cast<std::size_t>(percent / 100 * static_cast<double>(of.size()));
  return of[std::min(rank, of.size() - 1)];
}

double median(std::vector<double> of) {
  std::ranges::sort(of);
  return of.empty() ? 0 : of[of.size() / 2];
}

} // namespace acta::bench
