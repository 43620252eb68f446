#include "../support/any_log.hpp"

#include <acta/storage/faulty_log.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <utility>

namespace acta::tests {
namespace {

using storage::log_faults;
using storage::make_faulty_log;

class faulty_log_test : public any_log_test {
protected:
  void SetUp() override {
    any_log_test::SetUp();
    shared_ = std::move(log);
    log = make_faulty_log(shared_, faults_);
    ASSERT_TRUE(log->register_category("order"));
    ASSERT_TRUE(log->register_event_type("submitted"));
  }
  [[nodiscard]] static result<log_position> append_to(storage::event_log& to) {
    const finished_record record(stream_id(category_id(1), 1), to.tail().value() + 1, "event");
    const std::array records{record.bytes()};
    return to.append(records, 1'000);
  }

  std::shared_ptr<storage::event_log> shared_;
  std::shared_ptr<log_faults> faults_ = std::make_shared<log_faults>();
};

TEST_P(faulty_log_test, is_the_log_it_is_around) {
  ASSERT_TRUE(append_to(*log));
  EXPECT_EQ(log->tail(), log_position(1));
  EXPECT_EQ(shared_->tail(), log_position(1));
  const auto synced = log->synced_tail();
  EXPECT_LE(synced, shared_->synced_tail()) << "which moves meanwhile";
  EXPECT_EQ(log->durability(), GetParam());
  EXPECT_EQ(log->store_id(), shared_->store_id());
  EXPECT_EQ(log->directory(), shared_->directory());
  EXPECT_EQ(shared_->category_name(category_id(1)), "order");
  EXPECT_EQ(log->event_type_name(event_type_id(1)), "submitted");
  EXPECT_EQ(text_of((*log->snapshot())->at(log_position(1))->payload()), "event");
}

TEST_P(faulty_log_test, fails_the_commit_it_was_told_to_and_all_after_it) {
  faults_->fail_commit(3, {errc::no_space, "the device is full"});
  ASSERT_TRUE(append_to(*log));
  ASSERT_TRUE(log->append({}, 1'000)) << "of nothing is no commit";
  ASSERT_TRUE(log->register_event_type("cancelled")) << "neither is this";
  ASSERT_TRUE(append_to(*log));
  for (int i = 0; i < 2; ++i) {
    const auto failed = append_to(*log);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code(), errc::no_space);
    EXPECT_EQ(failed.error().message(), "the device is full");
  }
  EXPECT_EQ(log->tail(), log_position(2)) << "nothing of it is stored";
  log = make_faulty_log(shared_, faults_);
  EXPECT_TRUE(append_to(*log)) << "the next log over the same events is sound";
  faults_->fail_next_commit();
  EXPECT_EQ(append_to(*log).error().code(), errc::io);
}

TEST_P(faulty_log_test, holds_commits_until_they_are_released) {
  faults_->hold_commits();
  std::atomic<bool> done = false;
  std::thread appends([&] {
    EXPECT_TRUE(append_to(*log));
    done = true;
  });
  faults_->wait_for_held_commit();
  EXPECT_FALSE(done);
  EXPECT_EQ(shared_->tail(), log_position(0));
  faults_->release_commits();
  appends.join();
  EXPECT_EQ(shared_->tail(), log_position(1));
  EXPECT_TRUE(append_to(*log)) << "and holds none any more";
}

TEST_P(faulty_log_test, cannot_be_read_until_that_is_healed) {
  ASSERT_TRUE(append_to(*log));
  const auto before = log->snapshot();
  faults_->fail_reads({errc::io, "the cable is out"});
  const auto failed = log->snapshot();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message(), "the cable is out");
  EXPECT_TRUE((*before)->at(log_position(1)));
  EXPECT_TRUE(append_to(*log)) << "the writer does not read";
  faults_->heal_reads();
  EXPECT_EQ((*log->snapshot())->tail(), log_position(2));
}

INSTANTIATE_TEST_SUITE_P(logs, faulty_log_test, any_log, name_of_log);

} // namespace
} // namespace acta::tests
