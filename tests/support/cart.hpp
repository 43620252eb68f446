#pragma once

#include <acta/domain/aggregate.hpp>
#include <acta/domain/upcaster.hpp>

#include "cart/cart_generated.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// An aggregate whose events were others once, and the upcasters from those.
namespace acta::tests::cart {

struct put_in {
  std::int64_t pieces;
};
/// Refused with what the cart holds, for tests to see it.
struct look {};

struct basket {
  static constexpr std::string_view category = "cart";
  struct state {
    std::int64_t pieces = 0;
    std::string by;
  };
  using command = std::variant<put_in, look>;
  using events = domain::event_list<put, taken>;
  using out = domain::emitter<basket>;
  enum class refusal : std::uint16_t { looked = 1 };

  static domain::decision decide(const state&, const put_in& c, out& events) {
    events.emit<put>([&](auto& b) { return CreateputDirect(b, c.pieces, "now"); });
    return domain::accept();
  }
  static domain::decision decide(const state& now, const look&, out&) {
    return domain::reject(refusal::looked, std::to_string(now.pieces) + now.by);
  }
  static void evolve(state& now, const put& e) noexcept {
    now.pieces += e.pieces();
    (now.by += ',') += e.by()->c_str();
  }
  static void evolve(state& now, const taken& e) noexcept { now.pieces -= e.pieces(); }
};

/// added 1 -> added 2 -> put 1, without those of no piece; noted is dropped.
[[nodiscard]] inline std::vector<domain::upcaster> upcasters() {
  return {
    domain::upcast<added, added>(
      {.from = 1, .to = 2},
      [](const added& old, auto& to) { return Createadded(to, old.dozens() * 12); }),
    domain::upcast<added, put>(
      {.from = 2},
      [](const added& old, auto& to) -> std::optional<flatbuffers::Offset<put>> {
        if (old.dozens() == 0)
          return std::nullopt;
        return CreateputDirect(to, old.dozens(), "upcast");
      }),
    domain::drop(noted::GetFullyQualifiedName()),
  };
}

/// A finished payload: `make(builder)` returns its root.
template <class Make>
[[nodiscard]] std::vector<std::byte> payload_of(Make make) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(make(builder));
  const auto bytes = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  return {bytes.begin(), bytes.end()};
}
[[nodiscard]] inline std::vector<std::byte> added_payload(std::int32_t count) {
  return payload_of([&](auto& b) { return Createadded(b, count); });
}
[[nodiscard]] inline std::vector<std::byte> put_payload(std::int64_t pieces) {
  return payload_of([&](auto& b) { return CreateputDirect(b, pieces, "old"); });
}

} // namespace acta::tests::cart
