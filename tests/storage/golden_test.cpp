// A store written when format 1 was made. If this fails, stores out there no longer open.
#include "../support/records.hpp"
#include "../support/scratch_directory.hpp"

#include <acta/storage/event_log.hpp>
#include <acta/storage/stream_index.hpp>
#include <acta/storage/verify.hpp>

#include <gtest/gtest.h>

#include <array>
#include <string_view>

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

} // namespace
} // namespace acta::tests
