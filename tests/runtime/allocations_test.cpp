// A program of its own: it replaces the allocation functions of the whole process.
#include "../support/scratch_directory.hpp"

#include <acta/domain/aggregate.hpp>
#include <acta/runtime/caf.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>

#include <support/counter_generated.h>

#include <caf/actor.hpp>
#include <caf/send.hpp>

#include <gtest/gtest.h>

#include <pthread.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace acta::tests {

struct put {
  std::int64_t amount = 1;
};
struct put_and_tell {
  using reply = std::int64_t;
  std::int64_t amount = 1;
};

struct jar {
  static constexpr std::string_view category = "jar";
  struct state {
    std::int64_t sum = 0;
  };
  using command = std::variant<put, put_and_tell>;
  using events = domain::event_list<added>;

  static domain::decision decide(const state&, const put& c, domain::emitter<jar>& out) {
    out.emit<added>([&](auto& builder) { return Createadded(builder, c.amount); });
    return domain::accept();
  }
  static domain::decision_for<put_and_tell> decide(const state& now, const put_and_tell& c,
                                                   domain::emitter<jar>& out) {
    out.emit<added>([&](auto& builder) { return Createadded(builder, c.amount); });
    return now.sum + c.amount;
  }
  static void evolve(state& now, const added& e) noexcept { now.sum += e.amount(); }
};

} // namespace acta::tests

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(acta::tests::put)

namespace acta::tests {
namespace {

constinit std::atomic<bool> counting{false};

/// Allocations of the threads of one name: C++'s, and those of libraries in C.
struct thread_count {
  std::array<char, 16> name{};
  std::uint64_t news = 0;
  std::uint64_t mallocs = 0;
};
constinit std::mutex counts_mutex;
constinit std::array<thread_count, 32> counts{};

/// Allocates nothing.
void count(std::uint64_t thread_count::* which) noexcept {
  if (!counting.load(std::memory_order_relaxed))
    return;
  std::array<char, 16> name{};
  (void)::pthread_getname_np(::pthread_self(), name.data(), name.size());
  const std::lock_guard guard(counts_mutex);
  for (auto& one : counts)
    if (one.name == name || one.name.front() == '\0') {
      one.name = name;
      ++(one.*which);
      return;
    }
}
void count_malloc() noexcept {
  count(&thread_count::mallocs);
}

} // namespace
} // namespace acta::tests

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

// What operator new, CAF, LMDB and the C library itself call.
void* malloc(std::size_t size) {
  acta::tests::count_malloc();
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  acta::tests::count_malloc();
  return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) {
  acta::tests::count_malloc();
  return __libc_realloc(old, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  acta::tests::count_malloc();
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** to, std::size_t alignment, std::size_t size) {
  acta::tests::count_malloc();
  *to = __libc_memalign(alignment, size);
  return *to == nullptr ? ENOMEM : 0;
}
}

// The other forms call these two.
void* operator new(std::size_t size) {
  acta::tests::count(&acta::tests::thread_count::news);
  if (auto* made = __libc_malloc(size); made != nullptr)
    return made;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  acta::tests::count(&acta::tests::thread_count::news);
  if (auto* made = __libc_memalign(static_cast<std::size_t>(alignment), size); made != nullptr)
    return made;
  throw std::bad_alloc();
}

namespace acta::tests {
namespace {

using allocations = std::map<std::string, thread_count>;

/// What a run allocates, by thread. It ends when all commands are answered.
template <class Function>
[[nodiscard]] allocations allocations_of(Function run) {
  {
    const std::lock_guard guard(counts_mutex);
    counts = {};
  }
  counting = true;
  run();
  counting = false;
  allocations by_thread;
  const std::lock_guard guard(counts_mutex);
  for (const auto& one : counts)
    if (one.name.front() != '\0')
      by_thread.emplace(one.name.data(), one);
  return by_thread;
}

using setting = std::tuple<storage::durability, runtime::commit_by>;

[[nodiscard]] std::string name_of(const ::testing::TestParamInfo<setting>& of) {
  const auto [durability, by] = of.param;
  return std::string(storage::name(durability))
         + (by == runtime::commit_by::worker ? "_by_the_worker" : "");
}

class allocations_test : public ::testing::TestWithParam<setting> {
protected:
  static constexpr std::uint64_t commands = 2'000;
  static constexpr std::uint64_t jars = 50;

  void SetUp() override {
    ASSERT_EQ(::pthread_setname_np(::pthread_self(), "caller"), 0);
    const auto [durability, by] = GetParam();
    auto log = storage::make_memory_log();
    if (durability != storage::durability::memory) {
      auto opened = storage::open_log(directory_.path(), {.durability = durability});
      ASSERT_TRUE(opened) << opened.error().message();
      log = std::move(*opened);
    }
    auto opened = runtime::engine::open<jar>(std::move(log), {.commit = by, .latency_sample = 7});
    ASSERT_TRUE(opened) << opened.error().message();
    engine = std::move(*opened);
  }

  /// Tells all jars in turn, and waits for the outcomes. `options()` is that of the next command.
  template <class Command, class Options>
  void tell_all(Options options) {
    std::atomic<std::uint64_t> left{commands};
    for (std::uint64_t i = 0; i < commands; ++i)
      ASSERT_TRUE(engine->tell<jar>(
        i % jars, Command{1},
        [&left](auto&& how) {
          EXPECT_TRUE(how) << how.error().message();
          if (left.fetch_sub(1) == 1)
            left.notify_all();
        },
        options()));
    for (auto now = left.load(); now != 0; now = left.load())
      left.wait(now);
  }
  template <class Command>
  void tell_all(const runtime::command_options& options = {}) {
    tell_all<Command>([&] { return options; });
  }

  /// Runs `run` until everything has grown to what it takes, and expects so many allocations of the
  /// last time: all by the caller, and none where commands are handled, committed and answered.
  ///
  /// LMDB makes an array and a cursor or two for each transaction, however many commands are in it.
  template <class Function>
  void expect_by_caller_alone(std::uint64_t expected, Function run) {
    constexpr int most_runs = 100;
    constexpr std::uint64_t of_a_commit = 4;
    const bool is_on_disk =
      std::get<storage::durability>(GetParam()) != storage::durability::memory;
    allocations found;
    std::uint64_t of_lmdb = 0;
    for (int i = 0; i < most_runs; ++i) {
      const auto before = engine->counters().commits;
      found = allocations_of(run);
      of_lmdb = is_on_disk ? of_a_commit * (engine->counters().commits - before) : 0;
      if (found["caller"].news == expected && on_the_way(found).news == 0
          && on_the_way(found).mallocs <= of_lmdb)
        break;
    }
    EXPECT_EQ(found["caller"].news, expected);
    EXPECT_EQ(found["caller"].mallocs, 0U);
    EXPECT_EQ(on_the_way(found).news, 0U);
    EXPECT_LE(on_the_way(found).mallocs, of_lmdb);
    for (const auto& [thread, count] : found) // also of those that work behind the log
      RecordProperty(thread, std::to_string(count.news + count.mallocs));
  }

  /// By those who handle, commit and answer.
  [[nodiscard]] static thread_count on_the_way(allocations& all) {
    const auto& worker = all["acta.worker"];
    const auto& committer = all["acta.committer"];
    return {.news = worker.news + committer.news, .mallocs = worker.mallocs + committer.mallocs};
  }

  std::unique_ptr<runtime::engine> engine;

private:
  scratch_directory directory_{memory_folder()};
};

TEST_P(allocations_test, a_command_told_is_one_allocation) {
  expect_by_caller_alone(commands, [this] { tell_all<put>(); });
}

TEST_P(allocations_test, a_command_asked_is_one_allocation) {
  constexpr std::uint64_t asked = 200;
  expect_by_caller_alone(asked, [this] {
    for (std::uint64_t i = 0; i < asked; ++i)
      ASSERT_TRUE(engine->ask<jar>(i % jars, put{1}));
  });
}

TEST_P(allocations_test, a_command_with_an_id_is_one_allocation_once_the_window_is_full) {
  std::uint64_t last_id = 0;
  const auto run = [&] {
    tell_all<put>([&] { return runtime::command_options{.id = command_id::of(1, ++last_id)}; });
  };
  // Of each jar, three times: for 4 ids, 8 and 16. Also shows that they are seen at all.
  EXPECT_GE(allocations_of(run)["acta.worker"].news, 3 * jars);
  expect_by_caller_alone(commands, run);
}

TEST_P(allocations_test, a_reply_is_none_more) {
  expect_by_caller_alone(commands, [this] { tell_all<put_and_tell>(); });
}

TEST_P(allocations_test, an_answer_when_accepted_is_none_more) {
  expect_by_caller_alone(
    commands, [this] { tell_all<put>({.answered = runtime::acknowledgement::accepted}); });
}

TEST_P(allocations_test, a_command_from_an_actor_is_one_beside_its_message) {
  std::vector<caf::actor> actors;
  for (std::uint64_t i = 0; i < jars; ++i)
    actors.push_back(engine->actor<jar>(i));
  expect_by_caller_alone(2 * commands + jars, [&] {
    for (std::uint64_t i = 0; i < commands; ++i)
      caf::anon_send(actors[i % jars], put{1});
    for (std::uint64_t i = 0; i < jars; ++i) // behind them, so they are handled then
      ASSERT_TRUE(engine->ask<jar>(i, put{1}));
  });
}

INSTANTIATE_TEST_SUITE_P(
  logs, allocations_test,
  ::testing::Combine(::testing::Values(storage::durability::power, storage::durability::process,
                                       storage::durability::memory),
                     ::testing::Values(runtime::commit_by::own_thread, runtime::commit_by::worker)),
  name_of);

} // namespace
} // namespace acta::tests
