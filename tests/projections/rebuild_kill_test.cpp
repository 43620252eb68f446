// A rebuild that is killed at each of its moments, and one of whose files each operation fails.
#include "totals.hpp"

#include "../support/scratch_directory.hpp"

#include <gtest/gtest.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <string_view>

namespace {

enum class then : std::uint8_t { nothing, kill, fail };

/// Moments until something is done about one.
std::atomic<int> moments_left{0};
std::atomic<then> what_then{then::nothing};

/// False if it is to fail.
bool moment() {
  const auto now = what_then.load();
  if (now == then::nothing || moments_left.fetch_sub(1) != 1)
    return true;
  if (now == then::kill)
    ::raise(SIGKILL);
  errno = EIO;
  return false;
}

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

/// Of the views' files, and not of the log's.
bool is_of_views(int file) {
  std::array<char, 512> path{};
  const auto link = "/proc/self/fd/" + std::to_string(file);
  const auto size = ::readlink(link.c_str(), path.data(), path.size());
  return size > 0
         && std::string_view(path.data(), static_cast<std::size_t>(size)).find("/views")
              != std::string_view::npos;
}

int sync_one(int file, const char* name) {
  const auto before = errno;
  if (is_of_views(file) && !moment())
    return -1;
  errno = before;
  return real<int(int)>(name)(file);
}

} // namespace

extern "C" {
int symlink(const char* to, const char* path) noexcept {
  return moment() ? real<int(const char*, const char*)>("symlink")(to, path) : -1;
}
int rename(const char* from, const char* to) noexcept {
  return moment() ? real<int(const char*, const char*)>("rename")(from, to) : -1;
}
int unlink(const char* path) noexcept {
  return moment() ? real<int(const char*)>("unlink")(path) : -1;
}
int unlinkat(int at, const char* path, int flags) noexcept {
  return moment() ? real<int(int, const char*, int)>("unlinkat")(at, path, flags) : -1;
}
int remove(const char* path) noexcept {
  return moment() ? real<int(const char*)>("remove")(path) : -1;
}
int rmdir(const char* path) noexcept {
  return moment() ? real<int(const char*)>("rmdir")(path) : -1;
}
int mkdir(const char* path, mode_t mode) noexcept {
  return moment() ? real<int(const char*, mode_t)>("mkdir")(path, mode) : -1;
}
int fsync(int file) {
  return sync_one(file, "fsync");
}
int fdatasync(int file) {
  return sync_one(file, "fdatasync");
}
}

namespace acta::tests {
namespace {

constexpr int events = 300;
constexpr int never = 1'000; ///< More moments than there are.

void arm(then what, int at) {
  moments_left = at;
  what_then = what;
}

/// Some of the events are moments too.
void count_event() {
  static std::atomic<int> handled{0};
  if (handled.fetch_add(1) % 64 == 0)
    (void)moment();
}

template <class Kind>
class rebuild_moments_test : public testing::Test {
protected:
  /// Small steps, so that there are syncs between them.
  [[nodiscard]] static projections::rebuild_options small() { return {.projector = {.batch = 2}}; }

  /// A store whose view is served in its first version.
  static void prepare(const std::filesystem::path& store) {
    const auto engine = open_wallets(store);
    put_many(*engine, events);
    served_of<Kind> first;
    ASSERT_TRUE(first.start(*engine, make_view<Kind, 1>()));
    ASSERT_TRUE(first.read(engine->log().tail(), 20s, &Kind::look));
  }

  static void expect_whole(const runtime::engine& engine, const served_of<Kind>& of,
                           std::int64_t version) {
    const auto now = of.read(engine.log().tail(), 20s, &Kind::look);
    ASSERT_TRUE(now) << now.error().message();
    EXPECT_EQ(now->version, version);
    EXPECT_EQ(now->count, static_cast<std::int64_t>(engine.log().tail().value()));
  }

  /// Whatever happened, one of the two serves, goes on, and gives way to the second.
  static void check(const std::filesystem::path& store) {
    const auto last = storage::serving_version(store, totals_view);
    ASSERT_TRUE(last) << last.error().message();
    ASSERT_TRUE(*last == 1U || *last == 2U) << "neither serves";
    const auto engine = open_wallets(store);
    ASSERT_TRUE(engine->ask<wallet>(1, put_in{1}));
    {
      served_of<Kind> now;
      auto started = *last == 1U ? now.start(*engine, make_view<Kind, 1>())
                                 : now.start(*engine, make_view<Kind, 2>());
      ASSERT_TRUE(started) << started.error().message();
      expect_whole(*engine, now, **last);
      if (*last == 1U) {
        auto rebuilt = now.rebuild(*engine, make_view<Kind, 2>());
        ASSERT_TRUE(rebuilt) << rebuilt.error().message();
      }
      expect_whole(*engine, now, 2);
    }
    const auto names = names_of_views(store);
    EXPECT_FALSE(names.contains("totals@1"));
    EXPECT_TRUE(names.contains("totals@2"));
  }
};
using kinds = testing::Types<in_lmdb, in_sqlite>;
TYPED_TEST_SUITE(rebuild_moments_test, kinds);

TYPED_TEST(rebuild_moments_test, killed_at_any_leaves_a_view_that_serves) {
  on_handled = count_event;
  int at = 1;
  int ended = 0;              // one after the other: how many syncs there are differs
  std::array<int, 3> found{}; // of those that were killed, by the version that served then
  for (; ended < 3 && at < never && !testing::Test::HasFatalFailure(); ++at) {
    SCOPED_TRACE("killed at moment " + std::to_string(at));
    const scratch_directory directory(memory_folder());
    const auto store = directory.path() / "store";
    this->prepare(store);
    const auto child = ::fork();
    if (child == 0) {
      const auto engine = open_wallets(store);
      arm(then::kill, at);
      served_of<TypeParam> served;
      const bool done = served.start(*engine, make_view<TypeParam, 1>(), this->small())
                        && served.rebuild(*engine, make_view<TypeParam, 2>(), this->small());
      ::_exit(done ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    const bool killed = WIFSIGNALED(status);
    EXPECT_TRUE(killed ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0) << status;
    ended = killed ? 0 : ended + 1;
    const auto last = storage::serving_version(store, totals_view);
    ASSERT_TRUE(last && *last && **last < found.size());
    found.at(**last) += killed ? 1 : 0;
    this->check(store);
  }
  EXPECT_LT(at, never);
  EXPECT_GT(found[1], 5) << "before the swap";
  EXPECT_GT(found[2], 3) << "after it";
  on_handled = [] {};
}

TYPED_TEST(rebuild_moments_test, of_which_one_fails_leaves_the_old_view_serving) {
  int failed = 0;
  int at = 1;
  for (bool ended = false; !ended && at < never && !testing::Test::HasFatalFailure(); ++at) {
    SCOPED_TRACE("failed at moment " + std::to_string(at));
    const scratch_directory directory(memory_folder());
    const auto store = directory.path() / "store";
    this->prepare(store);
    {
      const auto engine = open_wallets(store);
      served_of<TypeParam> served;
      ASSERT_TRUE(served.start(*engine, make_view<TypeParam, 1>()));
      arm(then::fail, at);
      const auto done = served.rebuild(*engine, make_view<TypeParam, 2>(), this->small());
      ended = moments_left > 0;
      arm(then::nothing, 0);
      failed += done ? 0 : 1;
      ASSERT_TRUE(engine->ask<wallet>(1, put_in{1}));
      this->expect_whole(*engine, served, done ? 2 : 1);
      if (!done) {
        EXPECT_NE(done.error().message().find((store / "views").string()), std::string::npos)
          << done.error().message();
        const auto again = served.rebuild(*engine, make_view<TypeParam, 2>());
        ASSERT_TRUE(again) << again.error().message();
        this->expect_whole(*engine, served, 2);
      }
    }
    this->check(store);
  }
  EXPECT_LT(at, never);
  EXPECT_GT(failed, 4);
}

} // namespace
} // namespace acta::tests
