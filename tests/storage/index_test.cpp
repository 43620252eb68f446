#include "../support/any_log.hpp"
#include "../support/log_doubles.hpp"

#include <acta/storage/stream_index.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace acta::tests {
namespace {

using storage::direction;
using storage::stream_index;

namespace fs = std::filesystem;
using numbers = std::vector<std::uint64_t>;

/// So little that each batch of records is a delta of its own, and goes to the disk.
const storage::stream_index_options tiny{.memory = 4096};

/// Streams with keys of every kind, alike enough to be mistaken for one another.
[[nodiscard]] std::vector<stream_id> streams_of_every_kind() {
  std::vector<stream_id> all;
  for (const auto of : {category_id(1), category_id(2), category_id(256)}) {
    for (const std::uint64_t key : {0ULL, 1ULL, 255ULL, 256ULL, 1ULL << 40U, ~0ULL})
      all.emplace_back(of, key);
    for (const std::string& text :
         {std::string("a"), std::string("a\0", 2), std::string("a\0\0\0\0\0\0\0\0", 9),
          std::string("a\0\1", 3), std::string("a\0\377", 3), std::string("ab"),
          std::string(64, 'a'), std::string(64, '\0'), std::string(64, '\377')})
      all.push_back(*stream_id::from_text(of, text));
    for (const auto last : {std::byte{0}, std::byte{1}, std::byte{255}})
      all.emplace_back(of, std::array<std::byte, 16>{std::byte{9}, last});
  }
  return all;
}

[[nodiscard]] std::string name_of(const stream_id& stream) {
  std::string key(reinterpret_cast<const char*>(stream.key().data()), stream.key().size());
  if (stream.kind() == key_kind::integer)
    std::ranges::reverse(key); // little endian
  const char category[] = {static_cast<char>(stream.category().value() >> 8U),
                           static_cast<char>(stream.category().value() & 0xffU),
                           static_cast<char>(stream.kind())};
  return std::string(category, sizeof category) + key;
}

/// Appends at random, and knows what must be found.
class index_test : public any_log_test {
protected:
  void TearDown() override {
    snapshot.reset();
    index.reset();
  }
  void open(const storage::stream_index_options& options) {
    snapshot.reset();
    index.reset();
    auto opened = stream_index::open(*log, options);
    ASSERT_TRUE(opened) << opened.error().message();
    index = std::move(*opened);
    look();
  }
  void look() {
    auto taken = log->snapshot();
    ASSERT_TRUE(taken);
    snapshot = std::move(*taken);
  }
  void append_at_random(std::size_t count) {
    std::vector<finished_record> records;
    std::vector<std::span<const std::byte>> spans;
    for (std::size_t i = 0; i < count; ++i) {
      const auto& stream = streams[random() % streams.size()];
      auto& known = positions_of[name_of(stream)];
      records.emplace_back(stream, known.size() + 1, "event");
      known.push_back(++tail);
    }
    for (const auto& record : records)
      spans.push_back(record.bytes());
    const auto appended = log->append(spans, 1'000);
    ASSERT_TRUE(appended) << appended.error().message();
  }

  [[nodiscard]] numbers expected(const stream_id& stream, std::uint64_t from, std::size_t max,
                                 direction way) {
    numbers all = positions_of[name_of(stream)];
    numbers found;
    if (way == direction::forward)
      for (auto v = std::max<std::uint64_t>(from, 1); v <= all.size() && found.size() < max; ++v)
        found.push_back(all[v - 1]);
    else
      for (auto v = std::min<std::uint64_t>(from, all.size()); v > 0 && found.size() < max; --v)
        found.push_back(all[v - 1]);
    return found;
  }
  void expect_all_found() {
    for (const auto& stream : streams) {
      const auto size = positions_of[name_of(stream)].size();
      EXPECT_EQ(index->version(stream, *snapshot), stream_version(size));
      EXPECT_EQ(index->surely_absent(stream), size == 0);
      for (const auto way : {direction::forward, direction::backward})
        for (const std::uint64_t from : {std::uint64_t{0}, std::uint64_t{1}, random() % (size + 2),
                                         std::uint64_t{size}, UINT64_MAX})
          for (const std::size_t max : {std::size_t{1}, random() % (size + 1), SIZE_MAX})
            ASSERT_EQ(positions(index->read(stream, *snapshot, stream_version(from), max, way)),
                      expected(stream, from, max, way))
              << stream.to_string() << " from " << from << ", " << max << " at most";
    }
  }
  [[nodiscard]] std::vector<std::string> listed(std::size_t page, category_id category = {}) {
    std::vector<std::string> all;
    std::optional<stream_id> after;
    for (;;) {
      const auto found = index->streams(*snapshot, page, after, category);
      EXPECT_TRUE(found) << found.error().message();
      if (!found || found->empty())
        return all;
      for (const auto& [stream, version] : *found) {
        all.push_back(name_of(stream));
        EXPECT_EQ(version.value(), positions_of[all.back()].size());
      }
      after = found->back().stream;
    }
  }
  [[nodiscard]] std::vector<std::string> expected_list(category_id category = {}) const {
    std::vector<std::string> all;
    for (const auto& stream : streams)
      if (const auto known = positions_of.find(name_of(stream));
          known != positions_of.end() && !known->second.empty()
          && (category == category_id(0) || stream.category() == category))
        all.push_back(name_of(stream));
    std::ranges::sort(all);
    return all;
  }
  [[nodiscard]] fs::path directory() const { return log->directory() / "index"; }

  std::vector<stream_id> streams = streams_of_every_kind();
  std::map<std::string, numbers> positions_of;
  std::uint64_t tail = 0;
  std::mt19937_64 random{1};
  std::unique_ptr<stream_index> index;
  std::unique_ptr<storage::log_snapshot> snapshot;
};

TEST_P(index_test, finds_every_event_whatever_is_on_disk_and_whatever_in_memory) {
  for (const auto& options : {tiny, storage::stream_index_options{}, tiny}) {
    append_at_random(1'500);
    open(options);
    expect_all_found();
    for (int i = 0; i < 3; ++i) {
      append_at_random(700);
      ASSERT_TRUE(index->catch_up());
      look();
      expect_all_found();
    }
  }
}

TEST_P(index_test, lists_streams_in_order_in_pages_of_any_size) {
  append_at_random(40);
  for (const auto& options : {tiny, storage::stream_index_options{}}) {
    open(options);
    for (const auto page : {1U, 2U, 7U, 1'000U})
      EXPECT_EQ(listed(page), expected_list());
    for (const auto category : {category_id(1), category_id(2), category_id(256), category_id(3)})
      EXPECT_EQ(listed(3, category), expected_list(category));
    append_at_random(100);
    ASSERT_TRUE(index->catch_up());
    look();
    EXPECT_EQ(listed(5), expected_list());
  }
  EXPECT_TRUE(index->streams(*snapshot, 0)->empty());
}

TEST_P(index_test, sees_no_more_than_the_snapshot_does) {
  append_at_random(500);
  open(tiny);
  const auto before = positions_of;
  append_at_random(500);
  ASSERT_TRUE(index->catch_up());
  const auto now = std::exchange(positions_of, before);
  for (const auto& stream : streams)
    EXPECT_EQ(positions(index->read(stream, *snapshot)),
              expected(stream, 1, SIZE_MAX, direction::forward));
  EXPECT_EQ(listed(10), expected_list());
}

TEST_P(index_test, finds_gaps_between_what_is_on_disk_and_what_is_in_memory) {
  append(1, 1, 3);
  append(2, 1, 200);
  open(tiny);
  append(1, 5); // where 4 must be
  ASSERT_TRUE(index->catch_up());
  look();
  const stream_id stream(category_id(1), 1);
  for (const auto way : {direction::forward, direction::backward}) {
    const auto from = stream_version(way == direction::forward ? 1 : 9);
    const auto found = index->read(stream, *snapshot, from, 9, way);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code(), errc::corrupt);
    EXPECT_NE(found.error().message().find("where 4 must be"), std::string::npos)
      << found.error().message();
  }
}

TEST_P(index_test, serves_readers_while_it_is_written) {
  append_at_random(200);
  open(tiny);
  std::atomic<bool> done{false};
  const auto known = positions_of;
  std::vector<std::thread> readers;
  for (int i = 0; i < 2; ++i)
    readers.emplace_back([&] {
      while (!done) {
        const auto now = log->snapshot();
        for (const auto& stream : streams) {
          const auto found = positions(index->read(stream, **now));
          const auto before = known.find(name_of(stream));
          const auto size = before == known.end() ? 0 : before->second.size();
          ASSERT_GE(found.size(), size);
          for (std::size_t k = 0; k < size; ++k)
            ASSERT_EQ(found[k], before->second[k]);
        }
      }
    });
  for (int i = 0; i < 30; ++i) {
    append_at_random(200);
    EXPECT_TRUE(index->catch_up());
  }
  done = true;
  for (auto& reader : readers)
    reader.join();
  look();
  expect_all_found();
}

INSTANTIATE_TEST_SUITE_P(logs, index_test, any_log, name_of_log);

/// What only an index on disk has.
class stored_index_test : public index_test {};

TEST_P(stored_index_test, goes_on_from_its_watermark) {
  append_at_random(1'000);
  open(tiny);
  const auto stored = index->stored_watermark();
  EXPECT_GT(stored, log_position(900)) << "what is little stays in memory";
  bool built = false;
  open({.memory = 4096, .progress = [&](log_position, log_position) { built = true; }});
  EXPECT_FALSE(built) << "it was there";
  EXPECT_EQ(index->stored_watermark(), stored);
  expect_all_found();
}

TEST_P(stored_index_test, is_made_anew_when_it_was_removed_and_tells_how_far_it_is) {
  append_at_random(1'000);
  open(tiny);
  index.reset();
  fs::remove_all(directory());
  numbers told;
  open({.memory = 4096, .progress = [&](log_position at, log_position of) {
          EXPECT_EQ(of, log_position(1'000));
          told.push_back(at.value());
        }});
  ASSERT_GT(told.size(), 2U);
  EXPECT_TRUE(std::ranges::is_sorted(told));
  expect_all_found();
}

TEST_P(stored_index_test, is_made_anew_when_it_is_damaged_or_of_another_store) {
  append_at_random(500);
  open(tiny);
  index.reset();
  for (const std::string& text : {std::string(8192, 'x'), std::string("x")}) {
    std::ofstream(directory() / "data.mdb", std::ios::binary) << text;
    open(tiny);
    expect_all_found();
    index.reset();
  }
  snapshot.reset();
  scratch_directory elsewhere;
  fs::copy(directory(), elsewhere.path(), fs::copy_options::recursive);
  log.reset();
  scratch_directory other;
  auto opened = storage::open_log(other.path());
  ASSERT_TRUE(opened);
  log = std::move(*opened);
  fs::copy(elsewhere.path(), directory(), fs::copy_options::recursive);
  positions_of.clear();
  tail = 0;
  append_at_random(500);
  open(tiny);
  expect_all_found();
  TearDown();
  log.reset();
}

TEST_P(stored_index_test, is_made_anew_when_the_log_was_restored_from_an_older_backup) {
  append_at_random(300);
  const auto store = log->directory();
  scratch_directory backup;
  const auto at_300 = positions_of;
  log.reset();
  fs::copy(store / "log", backup.path() / "log", fs::copy_options::recursive);
  for (const auto appended_since : {100U, 600U}) { // the log is shorter than the index, and longer
    reopen();
    append_at_random(400);
    open(tiny);
    TearDown();
    log.reset();
    fs::remove_all(store / "log");
    fs::copy(backup.path() / "log", store / "log", fs::copy_options::recursive);
    positions_of = at_300;
    tail = 300;
    reopen();
    append_at_random(appended_since);
    open(tiny);
    expect_all_found();
    TearDown();
    log.reset();
    fs::remove_all(store / "log");
    fs::copy(backup.path() / "log", store / "log", fs::copy_options::recursive);
    positions_of = at_300;
    tail = 300;
  }
}

TEST_P(stored_index_test, is_opened_once) {
  append_at_random(10);
  open({});
  const auto second = stream_index::open(*log);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), errc::store_in_use);
}

TEST_P(stored_index_test, keeps_versions_beyond_32_bits) { // A26
  constexpr std::uint64_t first = (std::uint64_t{1} << 40U) - 100;
  append(1, first, 300);
  open(tiny);
  const stream_id stream(category_id(1), 1);
  const auto newest =
    index->read(stream, *snapshot, stream_version(UINT64_MAX), 2, direction::backward);
  ASSERT_TRUE(newest) << newest.error().message();
  EXPECT_EQ(newest->front().version(), stream_version(first + 299));
  EXPECT_EQ(positions(index->read(stream, *snapshot, stream_version(first + 200), 3)),
            (numbers{201, 202, 203}));
}

INSTANTIATE_TEST_SUITE_P(logs, stored_index_test, ::testing::Values(storage::durability::power),
                         name_of_log);

/// The indexer fails once, and says so whenever it did: before it was waited for, or while.
TEST(index_of_a_failing_disk, tells_of_each_failure_once_and_goes_on_when_it_is_tried_again) {
  const scratch_directory directory(memory_folder());
  auto opened = storage::open_log(directory.path() / "store");
  ASSERT_TRUE(opened) << opened.error().message();
  const std::shared_ptr<storage::event_log> on_disk = std::move(*opened);
  const auto disk = std::make_shared<held_index_log::state>();
  held_index_log log(on_disk, disk);
  const auto index = stream_index::open(log, tiny);
  ASSERT_TRUE(index) << index.error().message();
  const stream_id stream(category_id(1), 7);
  std::uint64_t version = 0;
  const auto append_one = [&] {
    const finished_record record(stream, ++version, "event");
    const std::array records{record.bytes()};
    ASSERT_TRUE(log.append(records, 1'000));
  };
  append_one();
  ASSERT_TRUE((*index)->catch_up());
  for (int round = 0; round < 3; ++round) { // a delta is full, and nothing on its way to the disk
    disk->failures = 1;
    append_one();
    ASSERT_TRUE((*index)->catch_up()) << "which hands it to the indexer";
    disk->failures.wait(1); // it has failed, and nobody has waited for it
    append_one();
    const auto failed = (*index)->catch_up();
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code(), errc::io) << failed.error().message();
    const auto again = (*index)->catch_up();
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_EQ((*index)->watermark(), log.tail());
    while ((*index)->stored_watermark().next() != log.tail())
      std::this_thread::yield();
  }
  const auto snapshot = log.snapshot();
  const auto read = (*index)->read(stream, **snapshot);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->size(), version);
}

} // namespace
} // namespace acta::tests
