// What an engine makes of streams that were truncated while it was closed.
#include "../support/engine_fixture.hpp"

#include <acta/storage/stream_writer.hpp>

namespace acta::tests {
namespace {

using domain::trading::cancel;
using domain::trading::limit_order;

class retention_runtime_test : public engine_fixture {
protected:
  void SetUp() override {
    const auto engine = open();
    ASSERT_TRUE(engine->ask<limit_order>(1, buy(5)));
    ASSERT_TRUE(engine->ask<limit_order>(1, cancel{}));
    order.emplace(engine->stream<limit_order>(1));
  }
  template <class Change>
  void change(Change&& how) {
    const auto writer = storage::stream_writer::open(*log);
    ASSERT_TRUE(writer) << writer.error().message();
    ASSERT_TRUE(how(**writer));
  }

  std::optional<stream_id> order;
};

TEST_F(retention_runtime_test, a_removed_aggregate_begins_anew_and_its_versions_go_on) {
  change([&](storage::stream_writer& writer) { return writer.remove(*order); });
  for (const std::uint64_t version : {3U, 4U}) {
    const auto engine = open(); // the second time from the events that follow the removal
    const auto done =
      version == 3 ? engine->ask<limit_order>(1, buy(7)) : engine->ask<limit_order>(1, cancel{});
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_EQ(done->version, stream_version(version));
  }
}

TEST_F(retention_runtime_test,
       an_aggregate_whose_first_events_are_gone_is_not_loaded_from_the_rest) {
  change(
    [&](storage::stream_writer& writer) { return writer.truncate(*order, stream_version(2)); });
  const auto engine = open();
  const auto refused = engine->ask<limit_order>(1, buy(7));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), errc::not_found);
  EXPECT_NE(refused.error().message().find("before version 2 were truncated"), std::string::npos)
    << refused.error().message();
}

} // namespace
} // namespace acta::tests
