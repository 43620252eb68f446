// What a user's program may include, with a schema of its own.
#include <acta/projections/order_book.hpp>
#include <acta/runtime/awaitable.hpp>
#include <acta/runtime/caf.hpp>
#include <acta/runtime/engine.hpp>

#include <consumer/light_generated.h>

namespace consumer {

struct light {
  static constexpr std::string_view category = "light";
  struct state {
    bool on = false;
  };
  struct command {
    bool on;
  };
  using events = acta::domain::event_list<switched>;

  static acta::domain::decision decide(const state&, const command& to,
                                       acta::domain::emitter<light>& out) {
    out.emit<switched>([&](auto& builder) { return Createswitched(builder, to.on); });
    return acta::domain::accept();
  }
  static void evolve(state& now, const switched& event) noexcept { now.on = event.on(); }
};

} // namespace consumer

int main() {
  auto engine = acta::runtime::engine::open<consumer::light>(acta::storage::make_memory_log());
  const auto receipt = (*engine)->ask<consumer::light>(1, {true});
  const auto as_actor = (*engine)->actor<consumer::light>(1);
  const auto schema = (*engine)->log().schema(acta::event_type_id(1));
  const bool stored = receipt && receipt->version == acta::stream_version(1);
  return stored && as_actor && schema && !schema->empty() ? 0 : 1;
}
