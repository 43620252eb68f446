// The program acta, as an operator runs it.
#include "../support/scratch_directory.hpp"
#include "../support/stores.hpp"

#include <acta/storage/event_log.hpp>
#include <acta/storage/snapshot_store.hpp>
#include <acta/storage/stream_name.hpp>
#include <acta/storage/stream_writer.hpp>
#include <acta/storage/view_directory.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <fstream>
#include <span>
#include <sstream>
#include <string>
#include <vector>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

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

class acta_program : public ::testing::Test {
protected:
  void SetUp() override {
    auto log = storage::open_log(path("store")).value();
    fill_with_everything(*log);
  }
  [[nodiscard]] fs::path path(const std::string& name) const { return directory_.path() / name; }
  [[nodiscard]] std::string at(const std::string& name) const { return path(name).string(); }

  [[nodiscard]] ended run(std::vector<std::string> arguments, const std::string& in = {}) const {
    std::ofstream(path("stdin")) << in;
    arguments.insert(arguments.begin(), "acta");
    std::vector<char*> argv;
    for (auto& one : arguments)
      argv.push_back(one.data());
    argv.push_back(nullptr);
    const auto child = ::fork();
    if (child == 0) {
      const auto redirect = [&](const char* name, int flags, int to) {
        const int file = ::open(path(name).c_str(), flags, 0644);
        ::dup2(file, to);
        ::close(file);
      };
      redirect("stdin", O_RDONLY, STDIN_FILENO);
      redirect("stdout", O_CREAT | O_TRUNC | O_WRONLY, STDOUT_FILENO);
      redirect("stderr", O_CREAT | O_TRUNC | O_WRONLY, STDERR_FILENO);
      ::execv(ACTA_TOOL, argv.data());
      ::_exit(127);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), read_all(path("stdout")),
            read_all(path("stderr"))};
  }
  [[nodiscard]] std::string out_of(const std::vector<std::string>& arguments) const {
    auto done = run(arguments);
    EXPECT_EQ(done.status, 0) << done.err;
    EXPECT_EQ(done.err, "") << "no progress where there is no terminal";
    return std::move(done.out);
  }
  /// One clear line on standard error and nothing else.
  void expect_failure(const ended& of, int status, const std::string& part) const {
    EXPECT_EQ(of.status, status) << of.err;
    EXPECT_TRUE(of.err.starts_with("acta: ")) << of.err;
    EXPECT_NE(of.err.find(part), std::string::npos) << of.err;
    EXPECT_EQ(std::ranges::count(of.err, '\n'), status == 2 ? 2 : 1) << of.err;
    EXPECT_EQ(of.out, "");
  }

  scratch_directory directory_;
};

TEST_F(acta_program, verifies_a_store) {
  EXPECT_TRUE(out_of({"verify", at("store")}).starts_with("7 records of 4 streams, 0 problems; "));
  EXPECT_EQ(json::parse(out_of({"verify", at("store"), "--json"}))["problems"], 0);
  {
    auto log = storage::open_log(path("store")).value();
    append_records(*log, {finished_record(stream_id(category_id(9), 1), 1, "unnamed")}, 0);
  }
  const auto found = run({"verify", at("store")});
  EXPECT_EQ(found.status, 1) << "a problem was found";
  EXPECT_NE(found.out.find("position 8, stream 9/1: category 9 has no name"), std::string::npos);
  EXPECT_NE(found.out.find("1 problems"), std::string::npos) << found.out;
}

TEST_F(acta_program, verifies_the_records_of_a_store_that_is_in_use) {
  const auto log = storage::open_log(path("store")).value();
  EXPECT_NE(out_of({"verify", at("store")}).find("pages not looked at"), std::string::npos);
}

TEST_F(acta_program, repairs_a_damaged_store) {
  {
    std::fstream file(path("store") / "log" / "data.mdb", std::ios::in | std::ios::out);
    const auto bytes = read_all(path("store") / "log" / "data.mdb");
    const auto at = bytes.find("of a text"); // the payload of position 6
    ASSERT_NE(at, std::string::npos);
    file.seekp(static_cast<std::streamoff>(at));
    file.put('P');
  }
  EXPECT_EQ(run({"verify", at("store")}).status, 1);
  const auto done = json::parse(out_of({"repair", at("store"), "--into", at("new"), "--json"}));
  EXPECT_EQ(done["kept"], 5);
  EXPECT_EQ(done["lost"], 2);
  EXPECT_EQ(done["readable"], 1);
  EXPECT_EQ(done["lost_records"].size(), 2U);
  EXPECT_EQ(run({"verify", at("new")}).status, 0);
  expect_failure(run({"repair", at("store"), "--into", at("new")}), 1, at("new"));
}

TEST_F(acta_program, compacts_a_store) {
  {
    const auto log = storage::open_log(path("store")).value();
    const std::vector<std::byte> large(100'000, std::byte{1});
    const auto spare = log->register_event_type("spare").value();
    for (const auto size : {large.size(), std::size_t{10}}) { // whose pages are free then
      const storage::event_schema schema{spare, std::span(large).first(size)};
      ASSERT_TRUE(log->put_schemas({&schema, 1}));
    }
    expect_failure(run({"compact", at("store")}), 1, "is in use by process");
  }
  const auto before = fs::file_size(path("store") / "log" / "data.mdb");
  const auto done = json::parse(out_of({"compact", at("store"), "--json"}));
  EXPECT_EQ(done["before"], before);
  EXPECT_LT(done["after"], before / 2);
  EXPECT_EQ(done["files"][0]["name"], "log/data.mdb");
  EXPECT_EQ(fs::file_size(path("store") / "log" / "data.mdb"), done["after"]);
  const auto text = out_of({"compact", at("store")});
  EXPECT_NE(text.find("log/data.mdb: "), std::string::npos) << text;
  EXPECT_EQ(run({"verify", at("store")}).status, 0);
  expect_failure(run({"compact", at("nowhere")}), 1, at("nowhere"));
}

TEST_F(acta_program, truncates_and_removes_a_stream) {
  const auto stream = json::parse(out_of({"streams", at("store"), "--json", "--limit", "1"}));
  const std::string name = stream["stream"];
  const int version = stream["version"];
  const auto before = std::to_string(version);
  expect_failure(run({"truncate", at("store"), name, "--before", before}), 1, "--without-state");
  EXPECT_FALSE(fs::exists(path("store") / "snapshots"));
  EXPECT_EQ(out_of({"truncate", at("store"), name, "--before", before, "--without-state"}),
            name + " is read from version " + before + '\n');
  EXPECT_EQ(out_of({"truncate", at("store"), name, "--before", before}),
            name + " is read from version " + before + '\n')
    << "there is nothing to do";
  EXPECT_EQ(out_of({"remove", at("store"), name}),
            name + " is removed; version " + std::to_string(version + 1) + " comes next\n");
  expect_failure(run({"truncate", at("store"), name, "--before", "99"}), 1, name);
  expect_failure(run({"remove", at("nowhere"), name}), 1, at("nowhere"));
  EXPECT_FALSE(fs::exists(path("nowhere")));
  EXPECT_EQ(run({"verify", at("store")}).status, 0);
}

TEST_F(acta_program, takes_a_snapshot_along_when_it_truncates) {
  const auto stream = json::parse(out_of({"streams", at("store"), "--json", "--limit", "1"}));
  const std::string name = stream["stream"];
  const std::uint64_t version = stream["version"];
  ASSERT_GE(version, 2U);
  const std::string state = "a state";
  ASSERT_EQ(
    run({"truncate", at("store"), name, "--before", std::to_string(version), "--without-state"})
      .status,
    0);
  {
    const auto log = storage::open_log(path("store")).value();
    const auto snapshots = storage::open_snapshots(*log).value();
    const auto id = storage::parse_stream(*log, name).value();
    const auto writer = storage::stream_writer::open(*log).value();
    const auto now = log->snapshot().value();
    const auto records = writer->index().read(id, *now, stream_version(version)).value();
    const storage::snapshot_to_save one{
      .stream = id,
      .snapshot = {.version = stream_version(version),
                   .position = records.front().position(),
                   .event_checksum = records.front().header().checksum,
                   .schema_hash = 7,
                   .state = std::as_bytes(std::span(state))}};
    ASSERT_TRUE(snapshots->save({&one, 1}));
  }
  const auto kept = "; its state at version " + std::to_string(version) + " is in the log\n";
  for (const auto& before : {std::to_string(version), std::to_string(version + 1)}) {
    std::string expected = name;
    expected.append(" is read from version ").append(before).append(kept);
    EXPECT_EQ(out_of({"truncate", at("store"), name, "--before", before}), expected);
  }
  const auto shown =
    json::parse(out_of({"read", at("store"), "--backward", "--limit", "1", "--json"}));
  EXPECT_EQ(shown["event"]["state"]["version"], version) << shown;
  EXPECT_EQ(shown["event"]["state"]["state"].size(), state.size());
  EXPECT_EQ(run({"export", at("store"), at("all.jsonl")}).status, 0);
  EXPECT_EQ(run({"import", at("all.jsonl"), at("again")}).status, 0);
  EXPECT_EQ(run({"export", at("again"), at("again.jsonl")}).status, 0);
  EXPECT_EQ(read_all(path("all.jsonl")), read_all(path("again.jsonl")));
}

TEST_F(acta_program, archives_the_beginning_of_a_store) {
  const auto archive = [&](const std::string& before) {
    return run({"archive", at("store"), "--before", before, "--into", at("archive"), "--json"});
  };
  expect_failure(archive("5"), 1, "1 streams still need their events there: order/42");
  EXPECT_FALSE(fs::exists(path("archive")));
  ASSERT_EQ(run({"remove", at("store"), "order/42"}).status, 0);
  const auto by_date = archive("2026-11-21T12:52:33Z"); // position 1 is older
  ASSERT_EQ(by_date.status, 0) << by_date.err;
  EXPECT_EQ(json::parse(by_date.out),
            json::parse(R"({"first":2,"archived":1,"truncated":0,"carried":0})"));
  EXPECT_TRUE(out_of({"archive", at("store"), "--before", "5", "--into", at("archive")})
                .contains("' begins at position 5; 3 records are new in '"));
  EXPECT_TRUE(out_of({"verify", at("store")}).starts_with("4 records of 4 streams, 0 problems"));
  EXPECT_TRUE(out_of({"verify", at("archive")}).starts_with("4 records of 1 streams, 0 problems"));
  EXPECT_EQ(std::ranges::count(out_of({"read", at("store"), "--json"}), '\n'), 4);
  EXPECT_EQ(std::ranges::count(out_of({"read", at("archive"), "--json"}), '\n'), 4);
  EXPECT_EQ(json::parse(out_of({"stats", at("store"), "--json"}))["first"], 5);
  expect_failure(run({"read", at("store"), "--from", "4"}), 1, "were archived, the last into");
}

TEST_F(acta_program, archives_nothing_where_it_is_told_something_wrong) {
  const auto archive = [&](const std::string& store, const std::string& before) {
    return run({"archive", at(store), "--before", before, "--into", at("archive")});
  };
  for (const auto* before : {"0", "yesterday", "-5", "2026-13-01", "5 "})
    expect_failure(archive("store", before), 1, "is neither a position nor a date");
  expect_failure(archive("store", "9"), 1, "the log ends at 7");
  expect_failure(archive("none", "2"), 1, "holds no store");
  EXPECT_EQ(run({"archive", at("store"), "--before", "2"}).status, 2);
  const auto log = storage::open_log(path("store")).value();
  expect_failure(archive("store", "2"), 1, "is in use");
  EXPECT_FALSE(fs::exists(path("none")));
  EXPECT_FALSE(fs::exists(path("archive")));
}

TEST_F(acta_program, exports_and_imports_the_same_store) {
  EXPECT_EQ(out_of({"export", at("store"), at("text")}), "");
  const auto text = read_all(path("text"));
  EXPECT_EQ(out_of({"export", at("store")}), text);
  EXPECT_EQ(std::ranges::count(text, '\n'), 8);
  EXPECT_NE(out_of({"import", at("text"), at("second")}).find("has the 7 records"),
            std::string::npos);
  EXPECT_EQ(run({"import", "-", at("third")}, text).status, 0);
  EXPECT_EQ(out_of({"export", at("second"), "--decode"}), text) << "there are no schemas";
  EXPECT_EQ(out_of({"export", at("third")}), text);
  const auto one = storage::open_log(path("store")).value();
  const auto other = storage::open_log(path("second")).value();
  expect_same(*one, *other);
}

TEST_F(acta_program, imports_nothing_of_a_text_that_is_wrong) {
  std::ofstream(path("text")) << "{\"acta_export\":1}\n";
  expect_failure(run({"import", at("text"), at("second")}), 1,
                 at("text") + ":1: 'store_id' is missing");
  EXPECT_FALSE(fs::exists(path("second")));
  expect_failure(run({"import", at("no such"), at("second")}), 1, "no such");
  expect_failure(run({"import", "-", at("second")}), 1, "standard input:1: ");
}

TEST_F(acta_program, backs_up_what_is_new) {
  EXPECT_NE(out_of({"backup", at("store"), at("copy")}).find("7 records are new"),
            std::string::npos);
  const auto again = json::parse(out_of({"backup", at("store"), at("copy"), "--json"}));
  EXPECT_EQ(again["before"], 7);
  EXPECT_EQ(again["after"], 7);
  EXPECT_EQ(out_of({"export", at("copy")}), out_of({"export", at("store")}));
}

TEST_F(acta_program, works_on_a_store_that_is_in_use) {
  const auto writer = storage::open_log(path("store")).value();
  EXPECT_EQ(run({"verify", at("store")}).status, 0);
  EXPECT_EQ(run({"backup", at("store"), at("copy")}).status, 0);
  EXPECT_EQ(run({"read", at("store")}).status, 0);
  EXPECT_EQ(run({"streams", at("store")}).status, 0);
  EXPECT_EQ(run({"stats", at("store")}).status, 0);
}

TEST_F(acta_program, says_what_a_store_is_made_of) {
  const auto text = out_of({"stats", at("store"), "--count"});
  for (const auto* part : {"events           7", "pages free", "oldest reader", "order  5 events",
                           "shop.cancelled  1 events"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  const auto figures = json::parse(out_of({"stats", at("store"), "--count", "--json"}));
  EXPECT_EQ(figures["events"], 7);
  EXPECT_EQ(figures["categories"][0]["streams_begun"], 2);
  EXPECT_EQ(figures["last_recorded_at"], "2026-11-21T12:52:33.000000002Z");
}

TEST_F(acta_program, tells_about_views_and_checks_them) {
  const auto view = storage::view_identity{.name = "seen", .version = 2};
  const auto fill = [&](const storage::event_log& log, const storage::view_identity& which) {
    const auto opened = storage::open_view(log, which);
    ASSERT_TRUE(opened) << opened.error().message();
    ASSERT_TRUE((*opened)->write(log_position(5), [](storage::view_writer& to) {
      const std::array<std::byte, 8> letter{};
      const std::array<std::byte, 8> other{std::byte{1}};
      auto put = to.put(letter, letter);
      return put ? to.put(other, other) : put;
    }));
  };
  {
    const auto log = storage::open_log(path("store")).value();
    fill(*log, view);
    fill(*log, {.name = "seen", .version = 3});
    ASSERT_TRUE(storage::serve_view(path("store"), view));
    const auto text = out_of({"stats", at("store")}); // while it is in use
    EXPECT_NE(text.find("  seen@2  LMDB, "), std::string::npos) << text;
    EXPECT_NE(text.find("position 5, 1 dead letters, serves\n"), std::string::npos) << text;
  }
  const auto told = json::parse(out_of({"stats", at("store"), "--json"}))["views"];
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0]["version"], 2);
  EXPECT_EQ(told[0]["serves"], true);
  EXPECT_EQ(told[1]["serves"], false);
  EXPECT_EQ(told[1]["position"], 5);
  EXPECT_NE(out_of({"verify", at("store")}).find("4 streams and 2 views, 0 problems"),
            std::string::npos);
  // One that is another's, and one with a page that is none.
  fs::copy_file(path("store") / "views" / "seen@2" / "data.mdb",
                path("store") / "views" / "seen@3" / "data.mdb",
                fs::copy_options::overwrite_existing);
  {
    const auto data = path("store") / "views" / "seen@2" / "data.mdb";
    std::fstream file(data, std::ios::in | std::ios::out);
    file.seekp(2 * 4096); // behind the meta pages
    file << std::string(fs::file_size(data) - 2 * 4096, 'x');
  }
  const auto found = run({"verify", at("store")});
  EXPECT_EQ(found.status, 1);
  EXPECT_NE(found.out.find("is of the view 'seen@2' and not of 'seen@3'"), std::string::npos)
    << found.out;
  EXPECT_NE(found.out.find("seen@2' and open it again: the view is made anew"), std::string::npos)
    << found.out;
  EXPECT_NE(out_of({"stats", at("store")}).find("  seen@2  LMDB, "), std::string::npos)
    << "whatever is wrong with a view";
}

TEST_F(acta_program, lists_streams_page_by_page) {
  const auto all = out_of({"streams", at("store"), "--category", "order"});
  EXPECT_TRUE(all.starts_with("order/42  4\n")) << all;
  EXPECT_EQ(std::ranges::count(all, '\n'), 2);
  const auto first = out_of({"streams", at("store"), "--limit", "1", "--json"});
  EXPECT_EQ(json::parse(first)["stream"], "order/42");
  EXPECT_EQ(json::parse(first)["version"], 4);
  const auto rest = out_of({"streams", at("store"), "--after", "order/42"});
  EXPECT_EQ(std::ranges::count(rest, '\n'), 3) << rest;
}

TEST_F(acta_program, shows_events) {
  EXPECT_EQ(std::ranges::count(out_of({"read", at("store")}), '\n'), 7);
  EXPECT_NE(out_of({"read", at("store")}).find("/alice/\"\\\\x0a 1"), std::string::npos);
  EXPECT_EQ(out_of({"read", at("store"), "--limit", "1"}),
            "1  1969-12-31T23:59:58.499999999Z  order/42 1  shop.submitted  (5 bytes)\n");
  const auto newest = out_of({"read", at("store"), "--backward", "--limit", "1", "--json"});
  EXPECT_EQ(json::parse(newest)["position"], 7);
  const auto stream =
    out_of({"read", at("store"), "--stream", "order/42", "--from", "3", "--json"});
  EXPECT_EQ(std::ranges::count(stream, '\n'), 2) << stream;
  const auto older =
    out_of({"read", at("store"), "--stream", "order/42", "--from", "3", "--backward"});
  EXPECT_TRUE(older.starts_with("3  ")) << older;
  EXPECT_EQ(std::ranges::count(older, '\n'), 3) << older;
  EXPECT_TRUE(out_of({"read", at("store"), "--from", "6"}).starts_with("6  "));
  EXPECT_TRUE(out_of({"read", at("store"), "--type", "shop.cancelled"}).starts_with("3  "));
  EXPECT_EQ(out_of({"read", at("store"), "--stream", "order/1"}), "");
}

TEST_F(acta_program, names_what_is_wrong_in_one_line) {
  expect_failure(run({"verify", at("nowhere")}), 1, at("nowhere"));
  EXPECT_FALSE(fs::exists(path("nowhere")));
  expect_failure(run({"read", at("store"), "--stream", "house/1"}), 1, "'house/1' is no stream");
  expect_failure(run({"read", at("store"), "--type", "sold"}), 1, "no event type 'sold'");
  expect_failure(run({"streams", at("store"), "--category", "house"}), 1, "no category 'house'");
  expect_failure(run({"backup", at("store"), at("store")}), 1, "open in this process already");
  expect_failure(run({}), 2, "subcommand");
  expect_failure(run({"verify"}), 2, "STORE");
  expect_failure(run({"verify", at("store"), "--colour"}), 2, "--colour");
  expect_failure(run({"paint", at("store")}), 2, "acta --help");
}

TEST_F(acta_program, has_help_with_examples) {
  EXPECT_NE(out_of({"--help"}).find("Exit status: 0 done; 1"), std::string::npos);
  for (const auto* command : {"verify", "repair", "truncate", "remove", "backup", "export",
                              "import", "stats", "streams", "read"})
    EXPECT_NE(out_of({command, "--help"}).find("Example:\n  acta " + std::string(command)),
              std::string::npos)
      << command;
  EXPECT_TRUE(out_of({"--version"}).starts_with("acta "));
}

} // namespace
} // namespace acta::tests
