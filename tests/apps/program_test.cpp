// The real executable, as a user runs it.
#include "../support/olist_files.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/storage/event_log.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;

struct ended {
  int status = -1; ///< Exit status, or minus the signal.
  std::string out;
  std::string err;
};

std::string read_all(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return std::move(text).str();
}

bool has_ended(pid_t child) {
  siginfo_t info{};
  const auto id = static_cast<id_t>(child);
  return ::waitid(P_PID, id, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != 0;
}

class program : public ::testing::Test {
protected:
  [[nodiscard]] fs::path path(const std::string& name) const { return directory_.path() / name; }
  [[nodiscard]] std::string at(const std::string& name) const { return path(name).string(); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name)) << text;
    return at(name);
  }

  pid_t start(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "acta-sim");
    std::vector<char*> argv;
    for (auto& one : arguments)
      argv.push_back(one.data());
    argv.push_back(nullptr);
    const auto child = ::fork();
    if (child == 0) {
      const auto redirect = [&](const char* name, int to) {
        const int file = ::open(path(name).c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0644);
        ::dup2(file, to);
        ::close(file);
      };
      redirect("stdout", STDOUT_FILENO);
      redirect("stderr", STDERR_FILENO);
      ::setenv("TMPDIR", directory_.path().c_str(), 1);
      ::execv(ACTA_SIM, argv.data());
      ::_exit(127);
    }
    return child;
  }
  /// The exit status of a shell script that may mount: it gets a directory to mount on, acta-sim, a
  /// file for error messages and one for JSON as $1 to $4. 77 where no test may mount.
  [[nodiscard]] int run_where_it_may_mount(const std::string& script) const {
    fs::create_directory(path("disk"));
    const auto run_in_own_mounts = [&](const std::string& what) {
      const auto child = ::fork();
      if (child == 0) {
        ::execlp("unshare", "unshare", "-r", "-m", "sh", "-c", what.c_str(), "sh",
                 at("disk").c_str(), ACTA_SIM, at("stderr").c_str(), at("after.json").c_str(),
                 nullptr);
        ::_exit(77);
      }
      int status = 0;
      EXPECT_EQ(::waitpid(child, &status, 0), child);
      return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    };
    return run_in_own_mounts("mount -t tmpfs none \"$1\"") == 0 ? run_in_own_mounts(script) : 77;
  }

  [[nodiscard]] ended wait(pid_t child) const {
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), read_all(path("stdout")),
            read_all(path("stderr"))};
  }
  [[nodiscard]] ended run(std::vector<std::string> arguments) const {
    return wait(start(std::move(arguments)));
  }

  /// One clear line on standard error and nothing else.
  void expect_failure(const ended& of, int status, const std::string& part) const {
    EXPECT_EQ(of.status, status) << of.err;
    EXPECT_TRUE(of.err.starts_with("acta-sim: ")) << of.err;
    EXPECT_NE(of.err.find(part), std::string::npos) << of.err;
    EXPECT_LE(std::ranges::count(of.err, '\n'), status == 2 ? 2 : 1) << of.err;
    EXPECT_EQ(of.out, "");
  }

  scratch_directory directory_;
};

TEST_F(program, ends_with_a_table_and_leaves_no_store_behind) {
  const auto done = run({"--orders", "2000"});
  EXPECT_EQ(done.status, 0) << done.err;
  for (const char* part : {"durability power", "commands", "p99", "order_book", "resting orders"})
    EXPECT_NE(done.out.find(part), std::string::npos) << part;
  EXPECT_EQ(done.err, "") << "no progress line where there is no terminal";
  for (const auto& entry : fs::directory_iterator(directory_.path()))
    EXPECT_FALSE(entry.is_directory()) << entry.path();
}

TEST_F(program, gives_the_figures_as_json) {
  const auto done = run({"--orders", "2000", "--durability", "memory", "--json", "-"});
  ASSERT_EQ(done.status, 0) << done.err;
  const auto json = nlohmann::json::parse(done.out);
  for (const char* key : {"feed", "durability", "commands", "accepted", "rejected", "rejections",
                          "events", "aggregates", "elapsed_s", "commands_per_s", "events_per_s",
                          "latency_us", "projections", "book", "trades", "machine"})
    EXPECT_TRUE(json.contains(key)) << key;
  EXPECT_EQ(json["accepted"].get<int>() + json["rejected"].get<int>(), json["commands"].get<int>());
  EXPECT_EQ(json["book"]["resting_orders"], 1024);
  EXPECT_EQ(json["projections"][0]["lag_events"], 0);
  EXPECT_EQ(json["projections"][0]["position"], json["events"]);
  EXPECT_EQ(json["machine"]["filesystem"], "none");
  EXPECT_GT(json["machine"]["versions"]["caf"].get<std::string>().size(), 4U);
}

TEST_F(program, runs_a_shops_orders_and_accounts_for_each) {
  const olist_files files;
  const auto feed = "olist:" + files.path().string();
  const auto table = run({"--feed", feed});
  EXPECT_EQ(table.status, 0) << table.err;
  for (const char* part : {"orders of the feed", "empty_order", "delivered", "45.50", "p99",
                           "24.00  and 33.00 that was not accepted"})
    EXPECT_NE(table.out.find(part), std::string::npos) << part << "\n" << table.out;
  const auto done = run({"--feed", feed, "--json", "-", "--store", at("store")});
  ASSERT_EQ(done.status, 0) << done.err;
  const auto json = nlohmann::json::parse(done.out);
  for (const char* key : {"feed", "durability", "commands", "events", "elapsed_s", "commands_per_s",
                          "events_per_s", "latency_us", "machine"})
    EXPECT_TRUE(json.contains(key)) << key;
  EXPECT_EQ(json["orders"], nlohmann::json::parse(R"({"in_feed": 5, "accepted": 4, "rejected": 1,
                "rejections": {"empty_order": 1}, "not_sent": 0,
                "statuses": {"cancelled": 1, "delivered": 1, "shipped": 2}})"));
  EXPECT_EQ(json["totals_cents"],
            nlohmann::json::parse(R"({"items": 4550, "freight": 450, "payments": 2400})"));
  EXPECT_EQ(json["feed_totals_cents"]["payments"], 5'700);
  EXPECT_EQ(json["outcomes"]["place"],
            nlohmann::json::parse(R"({"accepted": 4, "empty_order": 1})"));
  EXPECT_EQ(json["rejections"]["order_not_found"], 2);
  EXPECT_EQ(json["answers"], nlohmann::json::parse(R"({"customers": 2, "items": 5,
                "orders_by_status": {"cancelled": 1, "delivered": 1, "shipped": 2},
                "best_days": [{"day": "2017-01-03", "quantity": 1, "cents": 2000},
                              {"day": "2017-01-01", "quantity": 2, "cents": 1550},
                              {"day": "2017-01-06", "quantity": 1, "cents": 600}],
                "best_categories": [{"category": "toys, \"big\"", "quantity": 2, "cents": 3000},
                                    {"category": "", "quantity": 2, "cents": 1150}]})"));
  for (const char* view : {"order_list", "item_search", "revenue"})
    EXPECT_TRUE(fs::exists(path("store") / "views" / (std::string(view) + "@1") / "view.sqlite"));
  EXPECT_FALSE(json.contains("book"));
}

TEST_F(program, gives_the_same_book_for_the_same_seed_whatever_the_window_and_the_workers) {
  const auto book = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--orders", "3000", "--seed", "9", "--durability", "memory", "--quiet",
                             "--final-book", at("book.csv")});
    const auto done = run(more);
    EXPECT_EQ(done.status, 0) << done.err;
    EXPECT_EQ(done.out + done.err, "");
    return read_all(path("book.csv"));
  };
  const auto first = book({});
  EXPECT_TRUE(first.starts_with("instrument,side,price,size,orders\n1,B,"));
  EXPECT_TRUE(book({"--window", "1"}) == first);
  EXPECT_TRUE(book({"--workers", "3", "--window", "100000"}) == first);
  EXPECT_TRUE(book({"--wait", "yield", "--pin-workers", "--workers", "1"}) == first);
  EXPECT_TRUE(book({"--commit", "worker", "--wait", "spin"}) == first);
}

TEST_F(program, writes_through_links_and_names_that_are_not_utf8) {
  write("real.csv", "old");
  fs::create_symlink("real.csv", path("link.csv"));
  const auto done = run(
    {"--orders", "10", "--final-book", at("link.csv"), "--json", "-", "--store", at("store\xff")});
  EXPECT_EQ(done.status, 0) << done.err;
  EXPECT_TRUE(fs::is_symlink(path("link.csv")));
  EXPECT_TRUE(read_all(path("real.csv")).starts_with("instrument,side"));
  EXPECT_TRUE(nlohmann::json::accept(done.out));
}

TEST_F(program, prints_its_help_and_version) {
  const auto help = run({"--help"});
  EXPECT_EQ(help.status, 0);
  for (const char* part : {"--window", "Examples:", "Exit status", "--skip-order", "--pin-workers",
                           "park|yield|spin", "own_thread|worker", "olist:DIR"})
    EXPECT_NE(help.out.find(part), std::string::npos) << part;
  EXPECT_EQ(run({"--version"}).status, 0);
}

TEST_F(program, refuses_arguments_that_make_no_sense) {
  const auto feed = write("feed", "");
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases{
    {{"--no-such"}, "--no-such"},
    {{"stray"}, "stray"},
    {{"--orders", "-1"}, "--orders"},
    {{"--orders", "many"}, "--orders"},
    {{"--orders"}, "--orders"},
    {{"--instruments", "0"}, "--instruments"},
    {{"--window", "0"}, "--window"},
    {{"--workers", "0"}, "--workers"},
    {{"--durability", "none"}, "--durability"},
    {{"--wait", "sleep"}, "--wait"},
    {{"--commit", "committer"}, "--commit"},
    {{"--pin-workers", "3"}, "3"},
    {{"--feed", feed}, "--feed"},
    {{"--feed", "itch:" + feed}, "itch"},
    {{"--feed", "mbo:"}, "mbo:"},
    {{"--feed", "mbo:" + feed, "--orders", "5"}, "--orders"},
    {{"--feed", "mbo:" + feed, "--initial-book", feed}, "--initial-book"},
    {{"--feed", "olist:"}, "olist:DIR"},
    {{"--feed", "olist:.", "--initial-book", feed}, "--initial-book"},
    {{"--feed", "olist:.", "--skip-order", "5"}, "--skip-order"},
    {{"--feed", "olist:.", "--book-out", "x"}, "--book-out"},
    {{"--feed", "olist:.", "--final-book", "x"}, "--final-book"},
    {{"--initial-book", feed}, "--feed"},
    {{"--skip-order", "5"}, "--feed"},
    {{"--book-out", "x"}, "--feed"},
    {{"--store", "x", "--durability", "memory"}, "--store"},
    {{"--seed", "1", "--seed", "2"}, "--seed"},
    {{"--json", "x", "--final-book", "x"}, "two outputs"},
  };
  for (const auto& [arguments, part] : cases)
    expect_failure(run(arguments), 2, part);
}

TEST_F(program, refuses_threads_that_do_not_go_together) {
  expect_failure(run({"--orders", "5", "--commit", "worker", "--workers", "2"}), 1,
                 "set workers to 1");
  expect_failure(run({"--orders", "5", "--wait", "spin", "--workers", "256"}), 1,
                 "wait is spin with 256 workers");
  expect_failure(run({"--orders", "5", "--pin-workers", "--workers", "256"}), 1,
                 "pin_workers is set with 256 workers");
}

TEST_F(program, says_what_is_wrong_with_its_files_and_stores) {
  expect_failure(run({"--feed", "mbo:" + at("none.csv")}), 1, "none.csv");
  expect_failure(run({"--feed", "lobster:" + write("bad.csv", "1,1,1,1,1,1\nx\n")}), 1,
                 "bad.csv:2: ");
  expect_failure(run({"--orders", "5", "--store", at("no/such")}), 1, "no/such");
  expect_failure(run({"--feed", "olist:" + at("none")}), 1, "none' is no directory");
  expect_failure(run({"--feed", "olist:" + at(".")}), 1, "olist_customers_dataset.csv");
  fs::create_directory(path("foreign"));
  write("foreign/letter.txt", "dear");
  expect_failure(run({"--orders", "5", "--store", at("foreign")}), 1, "letter.txt");
  expect_failure(run({"--orders", "5", "--store", "/proc/store"}), 1, "/proc/store");
  expect_failure(run({"--orders", "5", "--json", at("no/such.json")}), 1, "no/such.json");
  expect_failure(run({"--orders", "5", "--final-book", "/dev/full", "--quiet"}), 1, "/dev/full");
  expect_failure(run({"--orders", "0", "--store", at("typo")}), 1, "holds no store");
  EXPECT_FALSE(fs::exists(path("typo")));
  expect_failure(run({"--feed", "lobster:" + write("none", "")}), 1, "no message");
  const auto held = storage::open_log(path("held"));
  ASSERT_TRUE(held);
  expect_failure(run({"--orders", "5", "--store", at("held")}), 1, std::to_string(::getpid()));
}

TEST_F(program, says_so_when_standard_output_is_full) {
  const auto child = ::fork();
  if (child == 0) {
    const int full = ::open("/dev/full", O_WRONLY);
    const int err = ::open(path("stderr").c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0644);
    ::dup2(full, STDOUT_FILENO);
    ::dup2(err, STDERR_FILENO);
    ::execl(ACTA_SIM, "acta-sim", "--orders", "10", "--durability", "memory", nullptr);
    ::_exit(127);
  }
  const auto done = wait(child);
  EXPECT_EQ(done.status, 1);
  EXPECT_NE(done.err.find("standard output"), std::string::npos) << done.err;
}

/// Interrupted where it happens to be, then run again: the end is that of a run that was not.
TEST_F(program, goes_on_where_it_was_interrupted) {
  const std::vector<std::string> arguments{"--orders",  "200000",       "--store",
                                           at("store"), "--final-book", at("book.csv")};
  ended done;
  int interruptions = 0;
  constexpr std::uintmax_t more = 10'000'000;
  for (int round = 0; round < 50 && done.status != 0; ++round) {
    const auto child = start(arguments);
    // Lets it store some more, then stops it; alternately politely and not.
    const auto data = path("store/log/data.mdb");
    std::error_code code;
    const auto before = fs::exists(data) ? fs::file_size(data, code) : 0;
    while (!has_ended(child) && (!fs::exists(data) || fs::file_size(data, code) < before + more))
      std::this_thread::sleep_for(std::chrono::milliseconds(1)); // a file cannot be waited for
    ::kill(child, round % 2 == 0 ? SIGINT : SIGKILL);
    done = wait(child);
    interruptions += done.status == 130 || done.status == -SIGKILL ? 1 : 0;
    if (done.status == 130) {
      EXPECT_NE(done.out.find("interrupted"), std::string::npos);
    }
  }
  EXPECT_EQ(done.status, 0) << done.err;
  EXPECT_GE(interruptions, 2);
  const auto resumed = read_all(path("book.csv"));
  EXPECT_EQ(run({"--orders", "200000", "--durability", "memory", "--quiet", "--final-book",
                 at("whole.csv")})
              .status,
            0);
  EXPECT_TRUE(resumed == read_all(path("whole.csv")));
}

/// A device with 24 MB, most of it taken: the run fails with one line; with room again it goes on.
TEST_F(program, survives_a_full_disk) {
  const auto script = std::string(R"(
    mount -t tmpfs -o size=24m none "$1" || exit 77
    head -c 16000000 /dev/zero > "$1/filler"
    "$2" --orders 100000 --store "$1/store" --quiet 2> "$3" && exit 1
    rm "$1/filler"
    "$2" --orders 0 --store "$1/store" --json - > "$4" || exit 2
    "$2" --orders 20000 --seed 3 --store "$1/store" --quiet || exit 3
  )");
  const auto status = run_where_it_may_mount(script);
  const auto err = read_all(path("stderr"));
  if (status == 77)
    GTEST_SKIP() << "this machine does not let a test mount a tmpfs of its own (unshare -r -m)";
  EXPECT_EQ(status, 0) << err;
  EXPECT_EQ(std::ranges::count(err, '\n'), 1) << err;
  EXPECT_NE(err.find("free space on the device"), std::string::npos) << err;
  // "... (N events of M commands have their receipts": each of those is in the log.
  const auto open = err.rfind('(');
  ASSERT_NE(open, std::string::npos);
  const auto receipted = std::stoull(err.substr(open + 1));
  EXPECT_GT(receipted, 1'000U);
  const auto json = nlohmann::json::parse(read_all(path("after.json")));
  EXPECT_GE(json["log_events"].get<std::uint64_t>(), receipted);
}

TEST_F(program, makes_its_store_later_where_the_device_was_too_small) {
  const std::string script(R"(
    for size in 4k 8k 12k 16k 20k 24k 28k 32k 36k 40k 48k 64k; do
      mount -t tmpfs -o size=$size none "$1" || exit 77
      "$2" --orders 5 --store "$1/store" --quiet 2>> "$3"
      [ $? -le 1 ] || exit 1
      mount -o remount,size=1m "$1" || exit 77
      "$2" --orders 5 --store "$1/store" --quiet || exit 2
      umount "$1"
    done)");
  const auto status = run_where_it_may_mount(script);
  if (status == 77)
    GTEST_SKIP() << "this machine does not let a test mount a tmpfs of its own (unshare -r -m)";
  EXPECT_EQ(status, 0) << read_all(path("stderr"));
  EXPECT_NE(read_all(path("stderr")).find("free space on the device"), std::string::npos);
}

} // namespace
} // namespace acta::tests
