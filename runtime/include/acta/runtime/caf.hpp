#pragma once

#include <acta/base/error.hpp>
#include <acta/runtime/detail/message_reader.hpp>
#include <acta/runtime/engine.hpp>

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/error.hpp>

#include <cstdint>
#include <optional>
#include <type_traits>

/// Commands from actors of CAF. The only header that includes CAF: link acta::runtime_caf.
///
///     CAF_ALLOW_UNSAFE_MESSAGE_TYPE(withdraw) // once for each command, outside of namespaces
///
///     caf::actor account_42 = engine.actor<account>(42);
///     self->request(account_42, std::chrono::seconds(1), withdraw{70})
///       .then([](const runtime::receipt& done) { ... },
///             [](const caf::error& why) { if (auto acta = runtime::error_of(why)) ... });
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(acta::runtime::receipt)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(acta::runtime::command_options)
namespace caf {
template <class Reply>
struct allowed_unsafe_message_type<acta::runtime::replied<Reply>> : std::true_type {};
} // namespace caf

namespace acta::runtime {

/// An error as CAF has them: category `acta`, the number of the errc as code, and rejection code
/// and message as context. An engine's system renders it: "rejected (2): the balance is too low".
[[nodiscard]] caf::error to_caf_error(const error& why);

/// The other way round; empty for an error that is not Acta's, as caf::sec::request_timeout.
[[nodiscard]] std::optional<error> error_of(const caf::error& why);

/// An actor that takes the commands of one aggregate, on its sender's thread, for this engine.
///
/// Messages: `Aggregate::command` or one of its alternatives, alone or with command_options behind
/// it, of which the times to wait are not regarded: an actor must not be blocked. Options borrow
/// the texts of their metadata, which must be there until the message arrives: at once, unless it
/// is delayed. A request is answered with receipt_for<Command>, or with to_caf_error() of what
/// engine::tell() or the outcome says; a message that is no request is not answered. What is no
/// command is refused with errc::invalid_argument, which says what is taken. Commands of one sender
/// are handled in order.
///
/// The aggregate's own actor comes and goes; this one stays as long as somebody has its handle, and
/// each call makes one more. It can be monitored and linked, and an exit message ends it, not the
/// aggregate: then make another. Commands and replies must be copyable.
///
/// Lifetime: the actor is one of engine::system(), whose actors end before the engine does. After
/// engine::stop() requests are answered with errc::engine_stopped, and so they are once the engine
/// is destroyed, for handles kept longer, e.g. by another system's actors. But no other thread may
/// use one while the engine is being destroyed.
template <domain::aggregate Aggregate>
caf::actor engine::actor(const stream_id& stream) {
  static constexpr detail::typed_message_reader<Aggregate> reader;
  return actor(&detail::typed_aggregate<Aggregate>::tag, stream, reader);
}
template <domain::aggregate Aggregate>
caf::actor engine::actor(std::uint64_t key) {
  return actor<Aggregate>(stream<Aggregate>(key));
}

} // namespace acta::runtime
