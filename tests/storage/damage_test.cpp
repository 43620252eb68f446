// Damaged bytes: whatever they are, nothing crashes, verify_store() tells of them with their place,
// or they do no harm.
#include "../support/records.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/storage/event_log.hpp>
#include <acta/storage/verify.hpp>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;

/// What a store says: the names of its dictionary and its records.
struct content {
  std::vector<std::string> names;
  std::vector<std::string> records;
  bool operator==(const content&) const = default;
};

/// Reads all there is, by scan and one by one. An error's message where it cannot be read.
[[nodiscard]] result<content> content_of(const storage::event_log& log) {
  content all;
  for (std::uint16_t id = 1; id <= 4; ++id) {
    all.names.emplace_back(log.category_name(category_id(id)));
    all.names.emplace_back(log.event_type_name(event_type_id(id)));
  }
  auto snapshot = log.snapshot();
  if (!snapshot)
    return failure(snapshot);
  auto cursor = (*snapshot)->scan(log_position(1));
  if (!cursor)
    return failure(cursor);
  for (auto records = (*cursor)->next(); records && !records->empty(); records = (*cursor)->next())
    for (const auto& record : *records)
      all.records.emplace_back(text_of(record.bytes()));
  for (std::uint64_t i = 1; i <= log.tail().value(); ++i)
    if (const auto record = (*snapshot)->at(log_position(i));
        !record || all.records.size() < i || text_of(record->bytes()) != all.records[i - 1])
      return failure(errc::corrupt, "position " + std::to_string(i) + " does not read");
  return all;
}

/// Quicker to map, many thousand times.
const storage::log_options small_map{.map_size = std::size_t{1} << 24U};

/// A small store of everything a log has: two pages of records and a branch above them, keys of
/// every kind, commands of several events, metadata, a payload in pages of its own, free pages.
class damage_test : public ::testing::Test {
protected:
  void SetUp() override {
    make();
    if (HasFatalFailure())
      return;
    const auto log = storage::open_log(store());
    ASSERT_TRUE(log) << log.error().message();
    auto read = content_of(**log);
    ASSERT_TRUE(read) << read.error().message();
    sound_ = std::move(*read);
    ASSERT_GE(sound_.records.size(), 60U);
  }

  [[nodiscard]] fs::path store() const { return directory_.path() / "store"; }
  [[nodiscard]] fs::path data() const { return store() / "log" / "data.mdb"; }

  /// Changes a byte of a file in place.
  static void flip(const fs::path& file, std::size_t at, unsigned bits) {
    const int descriptor = ::open(file.c_str(), O_RDWR);
    ASSERT_GE(descriptor, 0);
    unsigned char byte = 0;
    ASSERT_EQ(::pread(descriptor, &byte, 1, static_cast<off_t>(at)), 1);
    byte = static_cast<unsigned char>(byte ^ bits);
    ASSERT_EQ(::pwrite(descriptor, &byte, 1, static_cast<off_t>(at)), 1);
    ::close(descriptor);
  }

  /// What is harmless: the store opens, and has what it had.
  void expect_harmless(const std::string& what) {
    const auto log = storage::open_log(store(), small_map);
    ASSERT_TRUE(log) << what << ": " << log.error().message();
    const auto read = content_of(**log);
    ASSERT_TRUE(read) << what << ": " << read.error().message();
    EXPECT_TRUE(*read == sound_) << what << " went unnoticed";
  }

  /// Opens it, damaged as it is, and reads what it lets itself be read: an error is as good.
  [[nodiscard]] bool opens_and_reads() const {
    const auto log = storage::open_log(store(), small_map);
    if (!log) {
      EXPECT_NE(log.error().message().find(store().string()), std::string::npos)
        << log.error().message();
      return false;
    }
    return content_of(**log).has_value();
  }

  [[nodiscard]] bool is_reported(const std::string& name, std::size_t at, unsigned bits);

  content sound_;

private:
  void make();

  scratch_directory directory_{memory_folder()};
};

void damage_test::make() {
  auto log = storage::open_log(store());
  ASSERT_TRUE(log) << log.error().message();
  for (const auto* name : {"order", "account"})
    ASSERT_TRUE((*log)->register_category(name));
  for (const auto* name : {"order.submitted", "order.filled", "account.opened"})
    ASSERT_TRUE((*log)->register_event_type(name));
  const auto text = stream_id::from_text(category_id(2), "alice");
  ASSERT_TRUE(text);
  std::int64_t date = 1'000;
  for (std::uint64_t i = 1; i <= 30; ++i) {
    const stream_id order(category_id(1), i % 3);
    const auto version = 2 * ((i - 1) / 3) + 1;
    const finished_record first(order, version, "submitted", 1, i);
    const finished_record second(order, version + 1, "filled " + std::to_string(i), 0, i, 2,
                                 "by bob");
    const finished_record other(*text, i, i == 12 ? std::string(9'000, 'x') : "opened", 0, 100 + i,
                                3);
    const std::array records{first.bytes(), second.bytes(), other.bytes()};
    ASSERT_TRUE((*log)->append(records, date += 10));
  }
}

TEST_F(damage_test, is_not_there_in_a_sound_store) {
  const auto done = storage::verify_store(store());
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->problems, 0U) << done->findings.at(0).what;
  EXPECT_EQ(done->records, 90U);
  EXPECT_EQ(done->streams, 4U);
  EXPECT_GT(done->pages, 5U);
  expect_harmless("nothing");
}

/// Flips bits of a byte, looks at what is said of it, and puts the byte back.
bool damage_test::is_reported(const std::string& name, std::size_t at, unsigned bits) {
  const auto file = store() / name;
  const auto what = name + " byte " + std::to_string(at) + " ^ " + std::to_string(bits);
  flip(file, at, bits);
  const auto flipped = fs::last_write_time(file);
  const auto done = storage::verify_store(store());
  EXPECT_TRUE(done) << what << ": " << done.error().message();
  const bool reported = done && done->problems != 0;
  if (reported) {
    const auto& found = done->findings.at(0);
    EXPECT_EQ(found.file, name) << what << ": " << found.what;
    EXPECT_LE(found.byte, fs::file_size(file)) << what << ": " << found.what;
    const auto place = found.position == log_position(0) ? store().string() : "position";
    EXPECT_NE(found.what.find(place), std::string::npos) << found.what;
    (void)opens_and_reads();
  } else {
    expect_harmless(what);
  }
  if (fs::last_write_time(file) == flipped)
    flip(file, at, bits);
  else // opening wrote store.id anew
    EXPECT_EQ(name, "store.id") << what << ": opening wrote the log";
  return reported;
}

TEST_F(damage_test, of_any_byte_is_reported_with_its_place_or_harmless_and_never_crashes) {
  // Most of a page is space between nodes: by default every eighth byte of a long stretch of it.
  const bool all = std::getenv("ACTA_LONG_TESTS") != nullptr;
  const std::size_t stretch = all ? std::numeric_limits<std::size_t>::max() : 64;
  constexpr std::size_t stride = 8;
  std::size_t reported = 0;
  for (const std::string name : {"log/data.mdb", "store.id"}) {
    const auto size = fs::file_size(store() / name);
    std::size_t harmless = 0; // bytes in a row
    for (std::size_t at = 0; at < size && !HasFailure(); ++at) {
      bool found = is_reported(name, at, 0xff);
      for (unsigned bit = 0; all && bit < 8; ++bit)
        found = is_reported(name, at, 1U << bit) || found;
      reported += found ? 1U : 0U;
      if (found && harmless > stretch)
        at -= stride; // it may have begun before
      harmless = found ? 0 : harmless + 1;
      if (harmless > stretch)
        at = std::min(at + stride, static_cast<std::size_t>(size)) - 1;
    }
  }
  EXPECT_GT(reported, 15'000U);
  expect_harmless("what was put back");
}

} // namespace
} // namespace acta::tests
