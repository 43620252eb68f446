// Stores written when format 1 was made, and when it had all it has on 2026-11-21. If this fails,
// stores out there no longer open.
#include "../support/damaged_store.hpp"
#include "../support/golden_store.hpp"
#include "../support/records.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/storage/event_json.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/snapshot_store.hpp>
#include <acta/storage/stream_index.hpp>
#include <acta/storage/verify.hpp>

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acta::tests {
namespace {

namespace fs = std::filesystem;

TEST(golden_store, of_format_1_opens_and_has_what_it_had) {
  const scratch_directory directory;
  const auto store = directory.path() / "store";
  fs::copy(fs::path(ACTA_GOLDEN) / "format-1", store, fs::copy_options::recursive);
  const auto log = storage::open_log(store);
  ASSERT_TRUE(log) << log.error().message();
  ASSERT_EQ((*log)->tail(), log_position(3));
  EXPECT_EQ((*log)->category_name(category_id(1)), "limit_order");
  EXPECT_EQ((*log)->category_name(category_id(2)), "account");
  EXPECT_EQ((*log)->event_type_name(event_type_id(2)), "example.closed");
  const auto snapshot = (*log)->snapshot();
  const std::array<std::string_view, 3> payloads{"first", "second", "third"};
  for (std::size_t i = 0; i < payloads.size(); ++i) {
    const auto record = (*snapshot)->at(log_position(i + 1));
    ASSERT_TRUE(record) << record.error().message();
    EXPECT_TRUE(record->verify());
    EXPECT_EQ(text_of(record->payload()), payloads[i]);
    EXPECT_EQ(record->header().recorded_at_ns, 1'000);
    EXPECT_EQ(record->header().command.high(), 1U);
  }
  EXPECT_EQ((*snapshot)->at(log_position(1))->header().remaining, 1);
  EXPECT_EQ((*snapshot)->at(log_position(2))->stream(), stream_id(category_id(1), 42));
  EXPECT_EQ((*snapshot)->at(log_position(3))->stream(),
            stream_id::from_text(category_id(2), "alice"));
  const auto index = storage::stream_index::open(**log);
  EXPECT_TRUE(index) << index.error().message();
}

TEST(golden_store, of_format_1_is_sound_though_its_names_have_no_checksums) {
  const scratch_directory directory;
  const auto store = directory.path() / "store";
  fs::copy(fs::path(ACTA_GOLDEN) / "format-1", store, fs::copy_options::recursive);
  ASSERT_TRUE(storage::open_log(store)) << "writes its store.id";
  const auto done = storage::verify_store(store);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->records, 3U);
  EXPECT_EQ(done->problems, 0U) << done->findings.at(0).what;
}

/// The store that golden_store made on 2026-11-21: schemas, checksums of names, metadata, keys of
/// every kind, a truncation, a removed stream, an index and snapshots.
class golden_store_of_2026 : public ::testing::Test {
protected:
  void SetUp() override {
    fs::copy(fs::path(ACTA_GOLDEN) / "format-1-2026-11", store(), fs::copy_options::recursive);
  }
  void open() {
    auto opened = storage::open_log(store());
    ASSERT_TRUE(opened) << opened.error().message();
    log = std::move(*opened);
    auto now = log->snapshot();
    ASSERT_TRUE(now) << now.error().message();
    snapshot = std::move(*now);
  }
  [[nodiscard]] fs::path store() const { return directory_.path() / "store"; }
  [[nodiscard]] std::string json_at(std::uint64_t position) const {
    storage::event_json json(*log);
    const auto text = json.text(*(*snapshot).at(log_position(position)));
    return text ? *text : std::string(text.error().message());
  }

  std::unique_ptr<storage::event_log> log;
  std::unique_ptr<storage::log_snapshot> snapshot;

private:
  scratch_directory directory_;
};

TEST_F(golden_store_of_2026, is_sound_with_all_that_is_derived_from_it) {
  const auto done = storage::verify_store(store());
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_EQ(done->records, 207U);
  EXPECT_EQ(done->streams, 6U);
  EXPECT_EQ(done->problems, 0U) << done->findings.at(0).what;
}

TEST_F(golden_store_of_2026, has_its_names_schemas_and_events) {
  open();
  ASSERT_EQ(log->tail(), log_position(207));
  EXPECT_EQ(log->store_id(), "d3144b093a93afb8d2e6cf1a0a182c83");
  EXPECT_EQ(log->category_name(category_id(2)), "account \"1\"");
  EXPECT_EQ(log->category_name(category_id(4)), "acta.retention/order");
  EXPECT_EQ(log->event_type_name(event_type_id(3)), "raw");
  EXPECT_EQ(json_at(1), R"({"items":[{"name":"tea","price":250}],"color":"green","note":"a\"b"})");
  EXPECT_EQ(json_at(203), R"({"owner":"alice"})");
  EXPECT_EQ(json_at(206), R"({"before":50,"removed":false})") << "of this library's own schema";
  const auto opened = snapshot->at(log_position(203));
  EXPECT_EQ(opened->stream(), golden_store::account);
  EXPECT_EQ(text_of(opened->metadata()), "by a test");
  EXPECT_EQ(opened->header().command, command_id::of(1, 3'000));
  EXPECT_EQ(opened->header().recorded_at_ns, golden_store::date_ns);
  EXPECT_EQ(snapshot->at(log_position(201))->header().remaining, 1);
  EXPECT_EQ(snapshot->at(log_position(204))->stream(), golden_store::device);
  EXPECT_EQ(snapshot->at(log_position(204))->payload().size(), golden_store::large);
}

TEST_F(golden_store_of_2026, has_an_index_that_is_read_as_it_is) {
  open();
  const auto index = storage::stream_index::open(*log);
  ASSERT_TRUE(index) << index.error().message();
  EXPECT_GT((*index)->stored_watermark(), log_position(100)) << "it was not made anew";
  const auto order = (*index)->read(golden_store::order, *snapshot);
  ASSERT_TRUE(order) << order.error().message();
  EXPECT_EQ(order->size(), 151U) << "it is truncated before 50";
  EXPECT_EQ(order->front().version(), stream_version(50));
  const auto removed = (*index)->read(golden_store::removed, *snapshot);
  ASSERT_TRUE(removed) << removed.error().message();
  EXPECT_TRUE(removed->empty());
  EXPECT_EQ((*index)->version(golden_store::removed, *snapshot), stream_version(2));
  EXPECT_EQ((*index)->read(golden_store::account, *snapshot)->size(), 1U);
  EXPECT_EQ((*index)->read(golden_store::device, *snapshot)->size(), 2U);
}

TEST_F(golden_store_of_2026, has_snapshots_that_fit_its_events) {
  open();
  const auto snapshots = storage::open_snapshots(*log);
  ASSERT_TRUE(snapshots) << snapshots.error().message();
  std::vector<std::string> states;
  ASSERT_TRUE((*snapshots)->read(golden_store::order, {}, [&](const auto& one) {
    if (one && storage::verify(*one, golden_store::order, *snapshot) && one->schema_hash == 7
        && text_of(one->metadata) == "metadata")
      states.emplace_back(text_of(one->state));
    return true;
  }));
  EXPECT_EQ(states, (std::vector<std::string>{"state after 150", "state after 100"}));
}

TEST_F(golden_store_of_2026, has_what_a_store_made_now_has_byte_for_byte) {
  open();
  const scratch_directory directory;
  golden_store::make(directory.path() / "now");
  const auto made = storage::open_log(directory.path() / "now");
  ASSERT_TRUE(made) << made.error().message();
  const auto before = content_of(*log);
  const auto now = content_of(**made);
  ASSERT_TRUE(before && now);
  EXPECT_EQ(before->names, now->names);
  EXPECT_TRUE(before->records == now->records) << "a change of format needs a store of its own";
}

} // namespace
} // namespace acta::tests
