// Commands that actors of CAF send and request.
#include "../support/spawn.hpp"
#include "../support/wallet.hpp"

#include <acta/runtime/caf.hpp>
#include <acta/runtime/engine.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/faulty_log.hpp>

#include <caf/all.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(acta::tests::put_in)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(acta::tests::take_out)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(acta::tests::wallet::command)

namespace acta::tests {
namespace {

using namespace std::chrono_literals;
using runtime::command_options;
using runtime::engine;
using runtime::engine_options;
using runtime::error_of;
using runtime::receipt;
using runtime::replied;

class caf_request_test : public testing::Test {
protected:
  /// With one worker: an actor that goes from one to another is handed over by CAF's mailbox, whose
  /// atomics ThreadSanitizer does not see.
  std::unique_ptr<engine> open(engine_options options = {}) {
    options.workers = 1;
    auto opened = engine::open<wallet>(storage::make_faulty_log(log, faults_), options);
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? std::move(*opened) : nullptr;
  }

  /// What an actor of the engine's system gets for a message: a receipt, or an error.
  template <class Receipt, class... Message>
  static caf::expected<Receipt> request(engine& in, const caf::actor& of, Message... message) {
    std::promise<caf::expected<Receipt>> answered;
    spawn(in, [&](caf::event_based_actor* self) {
      self->request(of, caf::infinite, message...)
        .then([&](const Receipt& got) { answered.set_value(got); },
              [&](caf::error& why) { answered.set_value(std::move(why)); });
    });
    return answered.get_future().get();
  }

  std::shared_ptr<storage::event_log> log = storage::make_memory_log();
  std::shared_ptr<storage::log_faults> faults_ = std::make_shared<storage::log_faults>();
};

TEST_F(caf_request_test, answers_with_receipts_and_replies) {
  auto e = open();
  const auto handle = e->actor<wallet>(1);
  const auto put = request<replied<std::int64_t>>(*e, handle, put_in{10});
  ASSERT_TRUE(put);
  EXPECT_EQ(put->reply, 10);
  EXPECT_EQ(put->version, stream_version(1));
  const auto taken = request<receipt>(*e, handle, take_out{3});
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->position, log_position(2));
  const auto of_all = request<receipt>(*e, handle, wallet::command(put_in{1}));
  ASSERT_TRUE(of_all);
  EXPECT_EQ(of_all->version, stream_version(3));
  const auto other = request<receipt>(*e, e->actor<wallet>(e->stream<wallet>(2)), take_out{0});
  ASSERT_TRUE(other);
  EXPECT_EQ(other->version, stream_version(1)) << "the handle is of another stream";
}

TEST_F(caf_request_test, answers_a_refusal_with_the_domains_code_and_reason) {
  auto e = open();
  const auto refused = request<receipt>(*e, e->actor<wallet>(1), take_out{3});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().category(), caf::atom("acta"));
  EXPECT_EQ(refused.error().code(), static_cast<std::uint8_t>(errc::rejected));
  EXPECT_EQ(e->system().render(refused.error()), "rejected (1): there is not so much in it");
  const auto why = error_of(refused.error());
  ASSERT_TRUE(why);
  EXPECT_EQ(why->code(), errc::rejected);
  EXPECT_EQ(why->rejection(), static_cast<std::uint16_t>(wallet::refusal::empty));
  EXPECT_EQ(why->message(), "there is not so much in it");
}

TEST_F(caf_request_test, turns_errors_into_cafs_and_back) {
  const error original(errc::overloaded, "full");
  const auto back = error_of(runtime::to_caf_error(original));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->code(), errc::overloaded);
  EXPECT_EQ(back->rejection(), 0);
  EXPECT_EQ(back->message(), "full");
  EXPECT_EQ(open()->system().render(runtime::to_caf_error(original)), "overloaded: full");
  EXPECT_FALSE(error_of(caf::make_error(caf::sec::request_timeout)));
  EXPECT_FALSE(error_of(caf::error()));
}

TEST_F(caf_request_test, takes_the_options_of_a_command) {
  auto e = open();
  const auto handle = e->actor<wallet>(1);
  const command_options once{.id = command_id{7}};
  ASSERT_TRUE(request<receipt>(*e, handle, take_out{0}, once));
  const auto again = request<receipt>(*e, handle, take_out{0}, once);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->repeat);
  const auto late = request<receipt>(*e, handle, take_out{0}, command_options{.deadline_ns = 1});
  ASSERT_FALSE(late);
  EXPECT_EQ(error_of(late.error())->code(), errc::expired);
}

TEST_F(caf_request_test, refuses_what_is_no_command_and_says_what_is_taken) {
  auto e = open();
  const auto handle = e->actor<wallet>(1);
  const auto number = request<receipt>(*e, handle, 7);
  ASSERT_FALSE(number);
  const auto why = error_of(number.error());
  ASSERT_TRUE(why);
  EXPECT_EQ(why->code(), errc::invalid_argument);
  for (const auto* taken : {"acta::tests::put_in", "acta::tests::take_out", "command_options"})
    EXPECT_NE(why->message().find(taken), std::string::npos) << why->message();
  const auto more = request<receipt>(*e, handle, take_out{0}, 7);
  ASSERT_FALSE(more);
  EXPECT_EQ(error_of(more.error())->code(), errc::invalid_argument);
  caf::anon_send(handle, 7);
  EXPECT_TRUE(request<receipt>(*e, handle, take_out{0})) << "what is no request is dropped";
}

TEST_F(caf_request_test, refuses_a_stream_of_no_aggregate) {
  auto e = open();
  const auto refused =
    request<receipt>(*e, e->actor<wallet>(stream_id(category_id(77), 1)), take_out{0});
  ASSERT_FALSE(refused);
  EXPECT_EQ(error_of(refused.error())->code(), errc::invalid_argument);
}

TEST_F(caf_request_test, answers_when_the_engine_is_full) {
  auto e = open({.max_in_flight = 1});
  faults_->hold_commits();
  std::promise<void> first;
  ASSERT_TRUE(e->tell<wallet>(1, put_in{1}, [&](auto&&) { first.set_value(); }));
  const auto full =
    request<receipt>(*e, e->actor<wallet>(2), take_out{0}, command_options{.wait_for_room = 1h});
  ASSERT_FALSE(full);
  EXPECT_EQ(error_of(full.error())->code(), errc::overloaded);
  faults_->release_commits();
  first.get_future().get();
}

TEST_F(caf_request_test, leaves_timeouts_to_the_one_who_requests) {
  auto e = open();
  faults_->hold_commits();
  std::promise<caf::error> timed_out;
  spawn(*e, [&, handle = e->actor<wallet>(1)](caf::event_based_actor* self) {
    self->request(handle, 5ms, take_out{0})
      .then([](const receipt&) { FAIL() << "before it was committed"; },
            [&](caf::error& why) { timed_out.set_value(why); });
  });
  EXPECT_EQ(timed_out.get_future().get(), caf::sec::request_timeout);
  faults_->release_commits();
  EXPECT_TRUE(request<receipt>(*e, e->actor<wallet>(1), take_out{0}));
}

TEST_F(caf_request_test, takes_messages_without_answering_them) {
  auto e = open();
  const auto handle = e->actor<wallet>(1);
  caf::anon_send(handle, put_in{10});
  spawn(*e, [handle](caf::event_based_actor* self) {
    self->set_default_handler([](caf::scheduled_actor*, caf::message_view&) {
      ADD_FAILURE() << "an answer to what was no request";
      return caf::result<caf::message>(caf::sec::unexpected_message);
    });
    self->send(handle, take_out{11}); // refused
    self->send(handle, take_out{4});
    self->request(handle, caf::infinite, take_out{6}).then([](const receipt&) {});
  });
  e->system().await_all_actors_done();
  EXPECT_EQ(log->tail(), log_position(3));
}

TEST_F(caf_request_test, handles_the_commands_of_one_sender_in_order) {
  constexpr std::int64_t commands = 200;
  auto e = open();
  std::vector<std::int64_t> balances;
  spawn(*e, [&, handle = e->actor<wallet>(1)](caf::event_based_actor* self) {
    for (std::int64_t i = 0; i < commands; ++i)
      self->request(handle, caf::infinite, put_in{1}).then([&](const replied<std::int64_t>& put) {
        balances.push_back(put.reply.value_or(0));
      });
  });
  e->system().await_all_actors_done();
  ASSERT_EQ(balances.size(), std::size_t{commands});
  for (std::int64_t i = 0; i < commands; ++i)
    EXPECT_EQ(balances[static_cast<std::size_t>(i)], i + 1);
}

TEST_F(caf_request_test, can_be_composed_and_delegated_to) {
  auto e = open();
  const auto handle = e->actor<wallet>(1);
  const auto delegating = spawn(*e, [handle](caf::event_based_actor* self) -> caf::behavior {
    return {[=](std::int64_t amount) { return self->delegate(handle, put_in{amount}); }};
  });
  const auto delegated = request<replied<std::int64_t>>(*e, delegating, std::int64_t{5});
  ASSERT_TRUE(delegated);
  EXPECT_EQ(delegated->reply, 5);
  const auto of_receipts = spawn(*e, [](caf::event_based_actor*) -> caf::behavior {
    return {[](const replied<std::int64_t>& put) { return *put.reply * 100; }};
  });
  const auto composed = request<std::int64_t>(*e, of_receipts * handle, put_in{1});
  ASSERT_TRUE(composed);
  EXPECT_EQ(*composed, 600);
  caf::anon_send_exit(delegating, caf::exit_reason::user_shutdown);
  caf::anon_send_exit(of_receipts, caf::exit_reason::user_shutdown);
}

TEST_F(caf_request_test, is_ended_by_an_exit_message_and_its_monitors_hear_of_it) {
  auto e = open();
  const auto handle = e->actor<wallet>(1);
  std::promise<caf::error> down;
  spawn(*e, [&](caf::event_based_actor* self) -> caf::behavior {
    self->monitor(handle);
    self->set_down_handler([&, self](caf::down_msg& of) {
      down.set_value(of.reason);
      self->quit();
    });
    self->send_exit(handle, caf::exit_reason::kill);
    return {[](int) {}};
  });
  EXPECT_EQ(down.get_future().get(), caf::exit_reason::kill);
  const auto refused = request<receipt>(*e, handle, take_out{0});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), caf::sec::request_receiver_down);
  EXPECT_TRUE(request<receipt>(*e, e->actor<wallet>(1), take_out{0})) << "the aggregate lives";
}

TEST_F(caf_request_test, is_ended_with_an_actor_it_is_linked_to) {
  auto e = open();
  const auto handle = e->actor<wallet>(1);
  std::promise<void> ended;
  handle->attach_functor([&] { ended.set_value(); });
  spawn(*e, [&](caf::event_based_actor* self) {
    self->link_to(handle);
    self->quit(caf::exit_reason::user_shutdown);
  });
  ended.get_future().get();
  EXPECT_FALSE(request<receipt>(*e, handle, take_out{0}));
}

TEST_F(caf_request_test, answers_after_the_engine_has_stopped_and_when_it_is_gone) {
  auto e = open();
  const auto handle = e->actor<wallet>(1);
  ASSERT_TRUE(request<receipt>(*e, handle, take_out{0}));
  e->stop();
  const auto stopped = request<receipt>(*e, handle, take_out{0});
  ASSERT_FALSE(stopped);
  EXPECT_EQ(error_of(stopped.error())->code(), errc::engine_stopped);
  auto other = engine::open<wallet>(storage::make_memory_log());
  e.reset();
  const auto gone = request<receipt>(**other, handle, take_out{0});
  ASSERT_FALSE(gone);
  EXPECT_EQ(error_of(gone.error())->code(), errc::engine_stopped);
}

TEST_F(caf_request_test, is_answered_in_the_steps_of_a_deterministic_engine) {
  auto e = open({.deterministic_seed = 7});
  std::optional<std::int64_t> reply;
  spawn(*e, [&, handle = e->actor<wallet>(1)](caf::event_based_actor* self) {
    self->request(handle, caf::infinite, put_in{3}).then([&](const replied<std::int64_t>& put) {
      reply = put.reply;
    });
  });
  EXPECT_FALSE(reply);
  e->run_until_idle();
  EXPECT_EQ(reply, 3);
}

} // namespace
} // namespace acta::tests
