#pragma once

#include "any_log.hpp"
#include "cart.hpp"

#include <acta/runtime/engine.hpp>
#include <acta/storage/faulty_log.hpp>
#include <acta/storage/stream_writer.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acta::tests::cart {

/// A log of every kind with events as older programs wrote them.
class cart_fixture : public any_log_test {
protected:
  void SetUp() override {
    any_log_test::SetUp();
    shared_ = std::move(log);
    stream_ = stream_id(*shared_->register_category(basket::category), 7);
  }

  /// Appends an event to the cart; no engine may be open.
  void write(std::string_view type, std::uint16_t version, const std::vector<std::byte>& payload) {
    const std::string_view metadata = "who";
    const storage::new_event event{.type = *shared_->register_event_type(type),
                                   .payload = payload,
                                   .metadata = std::as_bytes(std::span(metadata)),
                                   .schema_version = version};
    const storage::stream_append step{stream_, expected_version::any(), {&event, 1}};
    const auto writer = storage::stream_writer::open(*shared_);
    ASSERT_TRUE(writer) << writer.error().message();
    ASSERT_TRUE((*writer)->append({&step, 1}, command_id::of(1, ++commands_)));
  }
  void write_added(std::uint16_t version, std::int32_t count) {
    write(added::GetFullyQualifiedName(), version, added_payload(count));
  }
  void write_noted() {
    write(noted::GetFullyQualifiedName(), 1,
          payload_of([](auto& b) { return CreatenotedDirect(b, "hm"); }));
  }
  void write_put(std::int64_t pieces, std::uint16_t version = 1) {
    write(put::GetFullyQualifiedName(), version, put_payload(pieces));
  }

  [[nodiscard]] result<std::unique_ptr<runtime::engine>>
  open(std::vector<domain::upcaster> upcasters = cart::upcasters()) {
    return runtime::engine::open<basket>(std::make_unique<storage::forwarding_log>(shared_),
                                         {.upcasters = std::move(upcasters)});
  }

  std::shared_ptr<storage::event_log> shared_;
  stream_id stream_{category_id(1), 7};

private:
  std::uint64_t commands_ = 0;
};

} // namespace acta::tests::cart
