#pragma once

#include <acta/base/ids.hpp>
#include <acta/runtime/command_options.hpp>
#include <acta/runtime/detail/aggregate_type.hpp>
#include <acta/runtime/detail/envelope.hpp>

#include <cstdint>

namespace acta::runtime {

/// Who sent a timer to its aggregate.
class timer_sender {
public:
  /// It has fired, or need not any more; or else why not. By any thread.
  virtual void timer_ended(const stream_id& stream, timer_id id, std::int64_t due_ns,
                           const outcome& how) noexcept = 0;

protected:
  ~timer_sender() = default;
};

/// A timer that is due, on its way to its aggregate as commands go.
class timer_command final : public detail::envelope {
public:
  timer_command(const detail::aggregate_type& type, const stream_id& stream, timer_id id,
                std::int64_t due_ns, timer_sender& from)
      : envelope({}, true), type_(type), stream_(stream), id_(id), due_ns_(due_ns), from_(from) {}

  [[nodiscard]] timer_id timer() const noexcept { return id_; }
  [[nodiscard]] std::int64_t due_ns() const noexcept { return due_ns_; }

  [[nodiscard]] bool has_handler() const noexcept override { return true; }
  [[nodiscard]] domain::decision decide(const void* state, flatbuffers::FlatBufferBuilder& builder,
                                        domain::event_sink& sink, const clock& now) override {
    return type_.on_timer(state, id_, builder, sink, now);
  }
  [[nodiscard]] const void* command(const std::type_info&) const noexcept override {
    return nullptr;
  }
  void settle(outcome&& how) noexcept override { from_.timer_ended(stream_, id_, due_ns_, how); }

private:
  const detail::aggregate_type& type_;
  stream_id stream_;
  timer_id id_;
  std::int64_t due_ns_;
  timer_sender& from_;
};

} // namespace acta::runtime
