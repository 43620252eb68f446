#pragma once

#include <acta/base/clock.hpp>
#include <acta/base/expected_version.hpp>
#include <acta/base/ids.hpp>
#include <acta/domain/aggregate.hpp>
#include <acta/runtime/detail/aggregate_type.hpp>
#include <acta/runtime/detail/atomic_request.hpp>
#include <acta/runtime/receipt.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

/// Commands that decide over several aggregates at once; see engine::ask_all().
namespace acta::runtime {

/// An aggregate that an atomic command is to decide over.
///
///     runtime::part<account>(42)
///     runtime::part<account>(43, expected_version::exactly(stream_version(7)))
template <domain::aggregate Aggregate>
class part {
public:
  /// `expected`: the aggregate's version, as the caller takes it to be; otherwise
  /// errc::wrong_version, and nothing is decided.
  explicit part(std::uint64_t key, expected_version expected = expected_version::any()) noexcept
      : stream_(category_id{}, key), expected_(expected) {}
  explicit part(const stream_id& stream,
                expected_version expected = expected_version::any()) noexcept
      : stream_(stream), expected_(expected) {}

  /// For the engine, which knows the category of an integer key.
  [[nodiscard]] detail::atomic_part asked_for() const noexcept {
    return {&detail::typed_aggregate<Aggregate>::tag, stream_, expected_};
  }

private:
  stream_id stream_;
  expected_version expected_;
};

/// The aggregates of an atomic command, of the same type or not.
template <domain::aggregate... Aggregates>
  requires(sizeof...(Aggregates) > 0)
[[nodiscard]] std::tuple<part<Aggregates>...> atomic(const part<Aggregates>&... parts) {
  return {parts...};
}
/// Any number of one type, known at run time.
template <domain::aggregate Aggregate>
[[nodiscard]] std::vector<part<Aggregate>> atomic(std::vector<part<Aggregate>> parts) {
  return parts;
}

/// An aggregate while an atomic command is decided. Valid during the call.
template <domain::aggregate Aggregate>
class participant {
public:
  participant(const detail::atomic_member& of, flatbuffers::FlatBufferBuilder& builder,
              const clock& now) noexcept
      : of_(of), emitter_(builder, of.sink, now) {}

  [[nodiscard]] const stream_id& stream() const noexcept { return of_.stream; }
  [[nodiscard]] stream_version version() const noexcept { return of_.version; }
  /// As it was before the command: what is emitted changes it only afterwards.
  [[nodiscard]] const typename Aggregate::state& state() const noexcept {
    return *static_cast<const typename Aggregate::state*>(of_.state);
  }

  /// As domain::emitter::emit(), to this aggregate's stream.
  template <class Event, class Build>
  void emit(Build&& build) {
    emitter_.template emit<Event>(std::forward<Build>(build));
  }
  /// For what else an aggregate's decide() does, and to call that.
  [[nodiscard]] domain::emitter<Aggregate>& out() noexcept { return emitter_; }

private:
  detail::atomic_member of_;
  domain::emitter<Aggregate> emitter_;
};

namespace detail {

template <class Parts>
struct atomic_call;

template <domain::aggregate... Aggregates>
struct atomic_call<std::tuple<part<Aggregates>...>> {
  template <class Function>
  static constexpr bool decides = requires(Function& decide, participant<Aggregates>&... all) {
    { decide(all...) } -> std::same_as<domain::decision>;
  };

  [[nodiscard]] static std::vector<atomic_part>
  asked_for(const std::tuple<part<Aggregates>...>& parts) {
    return std::apply([](const auto&... one) { return std::vector{one.asked_for()...}; }, parts);
  }
  template <class Function>
  [[nodiscard]] static domain::decision
  decide(Function& decide, std::span<const atomic_member> members,
         flatbuffers::FlatBufferBuilder& builder, const clock& now) {
    return [&]<std::size_t... Index>(std::index_sequence<Index...>) {
      std::tuple<participant<Aggregates>...> all(
        participant<Aggregates>(members[Index], builder, now)...);
      return std::apply(decide, all);
    }(std::index_sequence_for<Aggregates...>{});
  }
};

template <domain::aggregate Aggregate>
struct atomic_call<std::vector<part<Aggregate>>> {
  template <class Function>
  static constexpr bool decides =
    requires(Function& decide, std::span<participant<Aggregate>> all) {
      { decide(all) } -> std::same_as<domain::decision>;
    };

  [[nodiscard]] static std::vector<atomic_part>
  asked_for(const std::vector<part<Aggregate>>& parts) {
    std::vector<atomic_part> all;
    all.reserve(parts.size());
    for (const auto& one : parts)
      all.push_back(one.asked_for());
    return all;
  }
  template <class Function>
  [[nodiscard]] static domain::decision
  decide(Function& decide, std::span<const atomic_member> members,
         flatbuffers::FlatBufferBuilder& builder, const clock& now) {
    std::vector<participant<Aggregate>> all;
    all.reserve(members.size());
    for (const auto& one : members)
      all.emplace_back(one, builder, now);
    return decide(std::span<participant<Aggregate>>(all));
  }
};

template <class Parts, class Function>
class typed_atomic_request final : public atomic_request {
public:
  static_assert(atomic_call<Parts>::template decides<Function>,
                "an atomic command's function must take a participant<Aggregate>& for each part, "
                "in their order, or a std::span<participant<Aggregate>> for a vector of parts, and "
                "return domain::decision");

  typed_atomic_request(const Parts& parts, Function&& decide, atomic_outcome_handler&& handler)
      : atomic_request(atomic_call<Parts>::asked_for(parts)), decide_(std::move(decide)),
        handler_(std::move(handler)) {}

  [[nodiscard]] bool has_handler() const noexcept override { return static_cast<bool>(handler_); }
  [[nodiscard]] domain::decision decide(std::span<const atomic_member> members,
                                        flatbuffers::FlatBufferBuilder& builder,
                                        const clock& now) override {
    return atomic_call<Parts>::decide(decide_, members, builder, now);
  }
  void settle(atomic_outcome&& how) noexcept override { handler_(std::move(how)); }

private:
  Function decide_;
  atomic_outcome_handler handler_;
};

} // namespace detail

} // namespace acta::runtime
