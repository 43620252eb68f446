#include "support.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fstream>
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

double median(std::vector<double> of) {
  std::ranges::sort(of);
  return of.empty() ? 0 : of[of.size() / 2];
}

} // namespace acta::bench
