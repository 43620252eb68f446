#pragma once

#include <acta/base/error.hpp>
#include <acta/domain/aggregate.hpp>
#include <acta/runtime/command_options.hpp>
#include <acta/runtime/detail/envelope.hpp>

#include <caf/mailbox_element.hpp>
#include <caf/make_message.hpp>
#include <caf/message.hpp>
#include <caf/message_id.hpp>
#include <caf/type_erased_tuple.hpp>

#include <array>
#include <memory>
#include <span>
#include <typeinfo>
#include <utility>
#include <variant>

/// How messages of CAF become commands. For runtime/caf.hpp.
namespace acta::runtime::detail {

/// Who sent a message, and gets the answer if it was a request.
class message_sender {
public:
  message_sender(caf::strong_actor_ptr receiver, const caf::mailbox_element& of)
      : receiver_(std::move(receiver)), sender_(of.sender), id_(of.mid), stages_(of.stages) {}

  /// False if nobody waits for an answer.
  [[nodiscard]] bool is_request() const noexcept { return id_.is_request(); }
  /// Once. Any thread; `unit` is what runs there, if CAF does.
  void answer(caf::message with, caf::execution_unit* unit = nullptr);
  /// With to_caf_error().
  void answer(const error& why, caf::execution_unit* unit = nullptr);

private:
  caf::strong_actor_ptr receiver_;
  caf::strong_actor_ptr sender_;
  caf::message_id id_;
  caf::mailbox_element::forwarding_stack stages_; ///< Of composed actors: who is next.
};

/// Knows the commands of one type of aggregate.
class message_reader {
public:
  /// The command that a message begins with, whose outcome `to` gets; null if it is none.
  [[nodiscard]] virtual std::unique_ptr<envelope> read(const caf::type_erased_tuple& message,
                                                       const command_options& options,
                                                       const message_sender& to) const = 0;
  /// What a message may begin with.
  [[nodiscard]] virtual std::span<const std::type_info* const> commands() const noexcept = 0;

protected:
  constexpr message_reader() = default;
  constexpr ~message_reader() = default;
};

template <domain::aggregate Aggregate>
class typed_message_reader final : public message_reader {
public:
  constexpr typed_message_reader() = default;

  [[nodiscard]] std::unique_ptr<envelope> read(const caf::type_erased_tuple& message,
                                               const command_options& options,
                                               const message_sender& to) const override {
    return read_any(message, options, to, static_cast<const command*>(nullptr));
  }
  [[nodiscard]] std::span<const std::type_info* const> commands() const noexcept override {
    return commands(static_cast<const command*>(nullptr));
  }

private:
  using command = typename Aggregate::command;

  template <class Command>
  struct answer_to {
    message_sender sender;

    void operator()(outcome_for<Command>&& how) {
      if (!sender.is_request())
        return;
      if (how)
        sender.answer(caf::make_message(std::move(*how)));
      else
        sender.answer(how.error());
    }
  };

  template <class Command>
  [[nodiscard]] static bool read_one(std::unique_ptr<envelope>& made,
                                     const caf::type_erased_tuple& message,
                                     const command_options& options, const message_sender& to) {
    if (!message.match_element<Command>(0))
      return false;
    made = std::make_unique<typed_envelope<Aggregate, Command, answer_to<Command>>>(
      Command(message.get_as<Command>(0)), options, answer_to<Command>{to});
    return true;
  }

  template <class... Commands>
  [[nodiscard]] static std::unique_ptr<envelope>
  read_any(const caf::type_erased_tuple& message, const command_options& options,
           const message_sender& to, const std::variant<Commands...>*) {
    std::unique_ptr<envelope> made;
    (void)(read_one<Commands>(made, message, options, to) || ...
           || read_one<command>(made, message, options, to));
    return made;
  }
  [[nodiscard]] static std::unique_ptr<envelope> read_any(const caf::type_erased_tuple& message,
                                                          const command_options& options,
                                                          const message_sender& to, const void*) {
    std::unique_ptr<envelope> made;
    (void)read_one<command>(made, message, options, to);
    return made;
  }

  template <class... Commands>
  [[nodiscard]] static std::span<const std::type_info* const>
  commands(const std::variant<Commands...>*) noexcept {
    static const std::array all{&typeid(Commands)..., &typeid(command)};
    return all;
  }
  [[nodiscard]] static std::span<const std::type_info* const> commands(const void*) noexcept {
    static const std::array all{&typeid(command)};
    return all;
  }
};

} // namespace acta::runtime::detail
