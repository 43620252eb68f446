#pragma once

#include <acta/domain/orders/order.hpp>
#include <acta/projections/projection.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/record.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace acta::tests {

/// Writes events of orders to a log at the dates that a test says: any, or those that the order's
/// own rules decide.
class shop_log {
public:
  explicit shop_log(storage::event_log& log) : log_(log) {
    category_ = *log.register_category(domain::orders::order::category);
    register_types(domain::orders::order::events());
  }

  [[nodiscard]] stream_id order(std::uint64_t number) const { return {category_, number}; }
  [[nodiscard]] stream_id order(const std::string& name) const {
    return *stream_id::from_text(category_, name);
  }

  /// Any event; `build(builder)` returns its offset.
  template <class Event, class Build>
  void add(const stream_id& stream, Build&& build, std::int64_t at_ns = 1'000) {
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(build(builder));
    append(stream, domain::orders::order::events::index_of<Event>(),
           std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize())), at_ns);
  }
  void add_payment(std::uint64_t number, std::int64_t amount, std::int64_t at_ns = 1'000) {
    add<domain::orders::payment_received>(
      order(number),
      [&](auto& b) { return domain::orders::Createpayment_receivedDirect(b, amount, 1, ""); },
      at_ns);
  }

  /// What an order makes of a command; false if it refuses.
  bool play(const stream_id& stream, const domain::orders::order::command& command,
            std::int64_t at_ns) {
    auto& state = states_[name_of(stream)];
    flatbuffers::FlatBufferBuilder builder;
    sink to(*this, stream, state, at_ns);
    domain::emitter<domain::orders::order> out(builder, to);
    return domain::decide<domain::orders::order>(state, command, out).has_value();
  }

private:
  class sink final : public domain::event_sink {
  public:
    sink(shop_log& to, const stream_id& stream, domain::orders::order::state& state,
         std::int64_t at_ns)
        : to_(to), stream_(stream), state_(state), at_ns_(at_ns) {}
    void accept(std::size_t index, std::uint16_t,
                std::span<const std::byte> payload) noexcept override {
      to_.append(stream_, index, payload, at_ns_);
      evolve(index, payload, domain::orders::order::events());
    }

  private:
    template <class... Events>
    void evolve(std::size_t index, std::span<const std::byte> payload,
                domain::event_list<Events...>) {
      const std::vector<std::byte> copy(payload.begin(), payload.end());
      ((domain::orders::order::events::index_of<Events>() == index
          ? domain::orders::order::evolve(state_, *flatbuffers::GetRoot<Events>(copy.data()))
          : void()),
       ...);
    }

    shop_log& to_;
    const stream_id& stream_;
    domain::orders::order::state& state_;
    std::int64_t at_ns_;
  };

  /// Two keys of other kinds may look alike.
  [[nodiscard]] static std::string name_of(const stream_id& stream) {
    return stream.to_string() + "/" + std::to_string(static_cast<int>(stream.kind()));
  }

  template <class... Events>
  void register_types(domain::event_list<Events...>) {
    (types_.push_back(*log_.register_event_type(Events::GetFullyQualifiedName())), ...);
  }

  void append(const stream_id& stream, std::size_t index, std::span<const std::byte> payload,
              std::int64_t at_ns) {
    const storage::record_fields fields{.stream = stream,
                                        .version = stream_version(++versions_[name_of(stream)]),
                                        .command = {},
                                        .event_type = types_[index],
                                        .metadata = {},
                                        .payload = payload};
    std::vector<std::uint64_t> words(storage::record_size(fields) / sizeof(std::uint64_t));
    storage::encode_record(fields, reinterpret_cast<std::byte*>(words.data()));
    const auto bytes = std::as_bytes(std::span<const std::uint64_t>(words));
    const auto appended = log_.append({&bytes, 1}, at_ns);
    ASSERT_TRUE(appended) << appended.error().message();
  }

  storage::event_log& log_;
  category_id category_;
  std::vector<event_type_id> types_;
  std::map<std::string, std::uint64_t> versions_;
  std::map<std::string, domain::orders::order::state> states_;
};

/// Feeds a view that is attached from where it was left up to `to` (0: the tail), in steps of so
/// many records. The step that failed, or nothing.
inline projections::step_result feed(projections::projection& view, const storage::event_log& log,
                                     log_position to = {}, std::size_t batch = 16) {
  const auto snapshot = log.snapshot();
  auto cursor = (*snapshot)->scan(view.position().next(), {.up_to = to});
  std::vector<storage::record_view> all;
  for (;;) {
    const auto some = (*cursor)->next();
    EXPECT_TRUE(some);
    if (!some || some->empty())
      break;
    all.insert(all.end(), some->begin(), some->end());
  }
  for (auto rest = std::span<const storage::record_view>(all); !rest.empty();) {
    const auto part = rest.first(std::min(batch, rest.size()));
    if (auto done = view.apply({.records = part, .reached = part.back().position()}); !done)
      return done;
    view.progress().move_to(part.back().position());
    rest = rest.subspan(part.size());
  }
  return {};
}

} // namespace acta::tests
