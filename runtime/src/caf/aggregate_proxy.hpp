#pragma once

#include "../entrance.hpp"

#include <acta/base/ids.hpp>
#include <acta/runtime/detail/message_reader.hpp>

#include <caf/actor_config.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/monitorable_actor.hpp>

#include <memory>

namespace acta::runtime {

/// What CAF's actors have of an aggregate: an actor without a mailbox, which sends commands on the
/// thread of who sends it a message. See runtime/caf.hpp.
///
/// Concurrency: enqueue() is called on any thread, and by several at a time; but for CAF's parts,
/// which it guards itself, nothing here changes.
class aggregate_proxy final : public caf::monitorable_actor {
public:
  aggregate_proxy(caf::actor_config& config, std::shared_ptr<const entrance_while_open> to,
                  const void* tag, const stream_id& stream, const detail::message_reader& reader);
  ~aggregate_proxy() override;

  // -- caf::abstract_actor ------------------------------------------------------
  void enqueue(caf::mailbox_element_ptr element, caf::execution_unit* unit) override;
  void on_destroy() override;
  [[nodiscard]] const char* name() const override { return "acta.aggregate_proxy"; }

private:
  [[nodiscard]] result<void> send(const caf::mailbox_element& element,
                                  const detail::message_sender& from) const;
  [[nodiscard]] std::unexpected<error> what_is_taken() const;

  std::shared_ptr<const entrance_while_open> to_;
  const void* tag_;
  stream_id stream_;
  const detail::message_reader& reader_;
};

} // namespace acta::runtime
