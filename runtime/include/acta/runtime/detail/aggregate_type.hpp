#pragma once

#include <acta/base/clock.hpp>
#include <acta/base/ids.hpp>
#include <acta/base/schema.hpp>
#include <acta/domain/aggregate.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

/// How the engine's compiled part handles aggregates whose types it does not know.
namespace acta::runtime::detail {

/// Room within an actor for a small state, 8-byte aligned.
using state_place = std::array<std::byte, 32>;

/// What an engine knows of an event of an aggregate.
struct event_description {
  const char* name; ///< The fully qualified name of its table.
  std::uint16_t schema_version;
  std::span<const std::uint8_t> schema; ///< Empty if acta_add_schema() did not make its table.
};

struct verified_event {
  std::size_t index; ///< In Aggregate::events.
  std::span<const std::byte> payload;
};

/// The functions of one aggregate type, its state behind an untyped pointer.
class aggregate_type {
public:
  virtual ~aggregate_type() = default;

  [[nodiscard]] virtual std::string_view category() const noexcept = 0;
  /// In the order of Aggregate::events.
  [[nodiscard]] virtual std::span<const event_description> events() const noexcept = 0;

  /// A state at `place` if it fits there, or else on the heap.
  [[nodiscard]] virtual void* make_state(state_place& place) const = 0;
  virtual void destroy_state(void* state) const noexcept = 0;

  /// True if the payload is a well-formed event of this aggregate.
  [[nodiscard]] virtual bool verify(std::size_t event_index,
                                    std::span<const std::byte> payload) const noexcept = 0;
  /// Applies events that were verified: all, or none if an evolve() throws, which this passes on.
  virtual void evolve(void* state, std::span<const verified_event> events) const = 0;
  /// What evolve() would make of a state, apart from it: null where evolve() throws nothing, and
  /// need not be tried. May throw what that throws.
  [[nodiscard]] virtual std::shared_ptr<void>
  evolved(const void* state, std::span<const verified_event> events) const = 0;
  /// Makes a state what evolved() returned, which was not null.
  virtual void become(void* state, void* evolved) const noexcept = 0;
  [[nodiscard]] virtual bool closed(const void* state) const noexcept = 0;
  /// Of the state, in bytes, outside the actor.
  [[nodiscard]] virtual std::size_t heap_size(const void* state) const noexcept = 0;

  /// True if it handles timers; if not, the one below is not called.
  [[nodiscard]] virtual bool has_timers() const noexcept = 0;
  /// May throw what the user's on_timer() throws.
  [[nodiscard]] virtual domain::decision on_timer(const void* state, timer_id id,
                                                  flatbuffers::FlatBufferBuilder& builder,
                                                  domain::event_sink& sink,
                                                  const clock& now) const = 0;

  /// Of its snapshots; 0 if it has none, and then the two below are not called.
  [[nodiscard]] virtual std::uint64_t snapshot_schema_hash() const noexcept = 0;
  /// Leaves a finished FlatBuffer in `builder`. May throw what the user's save() throws.
  virtual void save(const void* state, flatbuffers::FlatBufferBuilder& builder) const = 0;
  /// As make_state(), of a snapshot; null if that is not well-formed. May throw what the user's
  /// load() throws.
  [[nodiscard]] virtual void* load(state_place& place,
                                   std::span<const std::byte> snapshot) const = 0;
};

template <domain::aggregate Aggregate>
class typed_aggregate final : public aggregate_type {
public:
  /// Its address tells aggregate types apart.
  static constexpr char tag = 0;

  [[nodiscard]] std::string_view category() const noexcept override { return Aggregate::category; }

  [[nodiscard]] std::span<const event_description> events() const noexcept override {
    return describe(typename Aggregate::events{});
  }

  [[nodiscard]] void* make_state(state_place& place) const override {
    if constexpr (fits)
      return ::new (place.data()) state{};
    else
      return new state{}; // its own operator new, if it has one
  }
  void destroy_state(void* untyped) const noexcept override {
    if constexpr (fits)
      static_cast<state*>(untyped)->~state();
    else
      delete static_cast<state*>(untyped);
  }

  [[nodiscard]] bool verify(std::size_t event_index,
                            std::span<const std::byte> payload) const noexcept override {
    return verify(event_index, payload, typename Aggregate::events{});
  }
  void evolve(void* untyped, std::span<const verified_event> events) const override {
    auto& now = *static_cast<state*>(untyped);
    if constexpr (domain::evolves_noexcept<Aggregate>) {
      for (const auto& one : events)
        apply(now, one, typename Aggregate::events{});
    } else {
      state tried(now);
      for (const auto& one : events)
        apply(tried, one, typename Aggregate::events{});
      using std::swap;
      swap(now, tried);
    }
  }

  [[nodiscard]] std::shared_ptr<void>
  evolved([[maybe_unused]] const void* untyped,
          [[maybe_unused]] std::span<const verified_event> events) const override {
    if constexpr (domain::evolves_noexcept<Aggregate>) {
      return nullptr;
    } else {
      auto tried = std::make_shared<state>(*static_cast<const state*>(untyped));
      for (const auto& one : events)
        apply(*tried, one, typename Aggregate::events{});
      return tried;
    }
  }
  void become([[maybe_unused]] void* untyped,
              [[maybe_unused]] void* evolved) const noexcept override {
    if constexpr (!domain::evolves_noexcept<Aggregate>) {
      using std::swap;
      swap(*static_cast<state*>(untyped), *static_cast<state*>(evolved));
    }
  }

  [[nodiscard]] bool closed(const void* untyped) const noexcept override {
    return domain::closed<Aggregate>(*static_cast<const state*>(untyped));
  }

  [[nodiscard]] std::size_t heap_size(const void* untyped) const noexcept override {
    return (fits ? 0 : sizeof(state))
           + domain::heap_size<Aggregate>(*static_cast<const state*>(untyped));
  }

  [[nodiscard]] bool has_timers() const noexcept override { return domain::has_timers<Aggregate>; }
  [[nodiscard]] domain::decision on_timer([[maybe_unused]] const void* untyped,
                                          [[maybe_unused]] timer_id id,
                                          [[maybe_unused]] flatbuffers::FlatBufferBuilder& builder,
                                          [[maybe_unused]] domain::event_sink& sink,
                                          [[maybe_unused]] const clock& now) const override {
    if constexpr (domain::has_timers<Aggregate>) {
      domain::emitter<Aggregate> out(builder, sink, now);
      return Aggregate::on_timer(*static_cast<const state*>(untyped), id, out);
    } else {
      return domain::accept();
    }
  }

  [[nodiscard]] std::uint64_t snapshot_schema_hash() const noexcept override {
    if constexpr (domain::has_snapshots<Aggregate>)
      return domain::snapshot_schema_hash<Aggregate>();
    else
      return 0;
  }
  void save([[maybe_unused]] const void* untyped,
            [[maybe_unused]] flatbuffers::FlatBufferBuilder& builder) const override {
    if constexpr (domain::has_snapshots<Aggregate>) {
      builder.Clear();
      builder.Finish(Aggregate::save(*static_cast<const state*>(untyped), builder));
    }
  }
  [[nodiscard]] void* load([[maybe_unused]] state_place& place,
                           [[maybe_unused]] std::span<const std::byte> snapshot) const override {
    if constexpr (domain::has_snapshots<Aggregate>) {
      const auto* table = domain::verified<typename Aggregate::snapshot>(snapshot);
      if (table == nullptr)
        return nullptr;
      if constexpr (fits)
        return ::new (place.data()) state(Aggregate::load(*table));
      else
        return new state(Aggregate::load(*table));
    } else {
      return nullptr;
    }
  }

private:
  using state = typename Aggregate::state;
  static constexpr bool fits = sizeof(state) <= sizeof(state_place) && alignof(state) <= 8;

  template <class... Events>
  [[nodiscard]] static std::span<const event_description>
  describe(domain::event_list<Events...>) noexcept {
    static const event_description all[] = {
      {Events::GetFullyQualifiedName(), domain::schema_version<Events>, schema_of<Events>}...};
    return all;
  }

  template <class... Events>
  [[nodiscard]] static bool verify(std::size_t event_index, std::span<const std::byte> payload,
                                   domain::event_list<Events...>) noexcept {
    std::size_t index = 0;
    return ((index++ == event_index && domain::verified<Events>(payload) != nullptr) || ...);
  }

  template <class... Events>
  static void apply(state& now, const verified_event& one, domain::event_list<Events...>) {
    std::size_t index = 0;
    (void)((index++ == one.index && (apply_one<Events>(now, one.payload), true)) || ...);
  }
  template <class Event>
  static void apply_one(state& now, std::span<const std::byte> payload) {
    Aggregate::evolve(now, *flatbuffers::GetRoot<Event>(payload.data()));
  }
};

} // namespace acta::runtime::detail
