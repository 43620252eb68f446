#pragma once

#include <acta/base/clock.hpp>
#include <acta/base/expected_version.hpp>
#include <acta/base/ids.hpp>
#include <acta/domain/aggregate.hpp>
#include <acta/runtime/command_options.hpp>
#include <acta/runtime/receipt.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <variant>
#include <vector>

/// How the engine's compiled part handles commands whose types it does not know.
namespace acta::runtime::detail {

class envelope;

/// What is on its way from a caller through the committer and has to be answered. Owned by whoever
/// has it; ends in settle().
class request {
public:
  request() = default;
  request(const request&) = delete;
  request& operator=(const request&) = delete;
  virtual ~request() = default;

  /// Room for what carries it through the actor's mailbox, so that a command is one allocation.
  static constexpr std::size_t carrier_size = 72;
  [[nodiscard]] void* carrier() noexcept { return carrier_.data(); }

  /// Gives the caller his outcome. Once.
  virtual void settle(outcome&& how) noexcept = 0;
  /// Null for what is no command.
  [[nodiscard]] virtual const envelope* as_command() const noexcept { return nullptr; }
  [[nodiscard]] envelope* as_command() noexcept {
    return const_cast<envelope*>(std::as_const(*this).as_command());
  }

private:
  alignas(8) std::array<std::byte, carrier_size> carrier_; // raw until it is used
};

/// When a sampled command passed; see command_latencies. In ns of the monotonic clock.
struct stage_times {
  std::int64_t sent = 0; ///< 0: it is not sampled.
  std::int64_t begun = 0;
  std::int64_t staged = 0;
};

/// One command, from the caller to the aggregate's actor to the committer.
class envelope : public request {
public:
  explicit envelope(const command_options& with, bool is_timer = false) noexcept
      : id_(with.id), expected_(with.expected), deadline_ns_(with.deadline_ns),
        answered_(with.answered), is_timer_(is_timer) {}

  [[nodiscard]] const command_id& id() const noexcept { return id_; }
  [[nodiscard]] const expected_version& expected() const noexcept { return expected_; }
  [[nodiscard]] std::int64_t deadline_ns() const noexcept { return deadline_ns_; }
  [[nodiscard]] acknowledgement answered() const noexcept { return answered_; }
  /// True of a timer that is due, which the engine sends: a timer_command.
  [[nodiscard]] bool is_timer() const noexcept { return is_timer_; }
  [[nodiscard]] std::span<const std::byte> metadata() const noexcept { return metadata_; }
  void set_metadata(std::vector<std::byte> encoded) noexcept { metadata_ = std::move(encoded); }

  [[nodiscard]] stage_times& times() noexcept { return times_; }
  /// The interceptors whose before() was called.
  [[nodiscard]] std::size_t intercepted() const noexcept { return intercepted_; }
  void count_interceptor() noexcept { ++intercepted_; }
  /// The stream, for the interceptors' after(): the actor may be gone by then. Null if there are
  /// none.
  [[nodiscard]] const stream_id* stream() const noexcept { return stream_.get(); }
  void remember(const stream_id& stream) { stream_ = std::make_unique<stream_id>(stream); }

  [[nodiscard]] const envelope* as_command() const noexcept final { return this; }
  using request::as_command;

  [[nodiscard]] virtual bool has_handler() const noexcept = 0;
  /// Calls decide() of the command's own aggregate, whose state this must be, and keeps the reply.
  /// May throw what that throws.
  [[nodiscard]] virtual domain::decision decide(const void* state,
                                                flatbuffers::FlatBufferBuilder& builder,
                                                domain::event_sink& sink, const clock& now) = 0;
  /// The command, if it is of this type or holds one of it; or else null.
  [[nodiscard]] virtual const void* command(const std::type_info& type) const noexcept = 0;

private:
  command_id id_;
  expected_version expected_;
  std::int64_t deadline_ns_;
  acknowledgement answered_;
  bool is_timer_;
  std::uint32_t intercepted_ = 0;
  std::unique_ptr<stream_id> stream_;
  stage_times times_;
  std::vector<std::byte> metadata_;
};

/// A handler of another type than a caller's own lies in here however large it is, and is there.
template <domain::aggregate Aggregate, domain::command_of<Aggregate> Command,
          class Handler = outcome_handler_for<Command>>
class typed_envelope final : public envelope {
public:
  typed_envelope(Command&& command, const command_options& with, Handler&& handler)
      : envelope(with), command_(std::move(command)), handler_(std::move(handler)) {}

  [[nodiscard]] bool has_handler() const noexcept override {
    if constexpr (std::is_same_v<Handler, outcome_handler_for<Command>>)
      return static_cast<bool>(handler_);
    else
      return true;
  }

  [[nodiscard]] domain::decision decide(const void* state, flatbuffers::FlatBufferBuilder& builder,
                                        domain::event_sink& sink, const clock& now) override {
    domain::emitter<Aggregate> out(builder, sink, now);
    auto decided = domain::decide<Aggregate>(*static_cast<const typename Aggregate::state*>(state),
                                             command_, out);
    if constexpr (domain::has_reply<Command>) {
      if (!decided)
        return std::unexpected(std::move(decided.error()));
      reply_.emplace(std::move(*decided));
      return domain::accept();
    } else {
      return decided;
    }
  }

  void settle(outcome&& how) noexcept override {
    if constexpr (domain::has_reply<Command>) {
      if (how)
        handler_(receipt_for<Command>{*how, std::move(reply_)});
      else
        handler_(std::unexpected(std::move(how.error())));
    } else {
      handler_(std::move(how));
    }
  }

  [[nodiscard]] const void* command(const std::type_info& type) const noexcept override {
    if (type == typeid(Command))
      return &command_;
    return alternative(type, command_);
  }

private:
  template <class... Commands>
  [[nodiscard]] static const void* alternative(const std::type_info& type,
                                               const std::variant<Commands...>& of) noexcept {
    const void* found = nullptr;
    (void)((type == typeid(Commands) && (found = std::get_if<Commands>(&of), true)) || ...);
    return found;
  }
  template <class Other>
  [[nodiscard]] static const void* alternative(const std::type_info&, const Other&) noexcept {
    return nullptr;
  }

  struct nothing {};
  template <class Of>
  struct reply_place {
    using type = nothing;
  };
  template <domain::has_reply Of>
  struct reply_place<Of> {
    using type = std::optional<typename Of::reply>;
  };

  Command command_;
  Handler handler_;
  [[no_unique_address]] typename reply_place<Command>::type reply_{};
};

} // namespace acta::runtime::detail
