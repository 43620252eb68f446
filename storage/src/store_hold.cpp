#include "store_hold.hpp"

#include "lmdb_error.hpp"

#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <vector>

namespace acta::storage {

namespace {

struct claims {
  std::mutex mutex;
  std::vector<process_claim::key> held;
};

[[nodiscard]] claims& of_this_process() {
  static claims all;
  return all;
}

} // namespace

result<process_claim> process_claim::acquire(const std::filesystem::path& store) {
  struct stat found{};
  if (::stat(store.c_str(), &found) != 0)
    return system_failure(errno, store, "looking at it");
  const key wanted{::getpid(), found.st_dev, found.st_ino};
  auto& all = of_this_process();
  const std::lock_guard guard(all.mutex);
  if (std::ranges::find(all.held, wanted) != all.held.end())
    return failure(errc::store_in_use,
                   fmt::format("store '{}' is open in this process already; read it through the "
                               "log that is open, or close that",
                               store.string()));
  all.held.push_back(wanted);
  return process_claim(wanted);
}

process_claim::~process_claim() {
  if (!of_)
    return;
  auto& all = of_this_process();
  const std::lock_guard guard(all.mutex);
  const auto at = std::ranges::find(all.held, *of_);
  ensure(at != all.held.end(), "a claim is given back once");
  all.held.erase(at);
}

result<store_hold> store_hold::for_writing(const std::filesystem::path& store) {
  auto lock = writer_lock::acquire(store);
  if (!lock)
    return failure(lock);
  auto claim = process_claim::acquire(store);
  if (!claim)
    return failure(claim);
  return store_hold(std::move(*lock), std::move(*claim));
}

result<store_hold> store_hold::for_reading(const std::filesystem::path& store) {
  auto claim = process_claim::acquire(store);
  if (!claim)
    return failure(claim);
  return store_hold(std::nullopt, std::move(*claim));
}

} // namespace acta::storage
