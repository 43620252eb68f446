#include <acta/runtime/process_journal.hpp>

namespace acta::runtime {

namespace {

using failed_command = process_progress::failed_command;

[[nodiscard]] flatbuffers::Offset<process_command_failed>
write(flatbuffers::FlatBufferBuilder& builder, const failed_command& one) {
  return Createprocess_command_failed(builder, one.position, one.index, one.attempt,
                                      static_cast<std::uint16_t>(one.code), one.rejection,
                                      builder.CreateString(one.message));
}

[[nodiscard]] failed_command read(const process_command_failed& one) {
  return {.position = one.position(),
          .index = one.index(),
          .attempt = one.attempt(),
          .code = static_cast<errc>(one.code()),
          .rejection = one.rejection(),
          .message = one.message()->str()};
}

} // namespace

domain::decision process_journal::decide(const state& now, const settle_process& command,
                                         out& events) {
  const bool is_first = now.settled == 0 && now.from == 0;
  if (command.position > now.settled || is_first)
    events.emit<process_settled>([&](auto& builder) {
      return Createprocess_settled(builder, command.position, command.from);
    });
  return domain::accept();
}

domain::decision process_journal::decide(const state&, const note_failed_command& command,
                                         out& events) {
  events.emit<process_command_failed>([&](auto& builder) { return write(builder, command.what); });
  return domain::accept();
}

domain::decision_for<read_process_progress>
process_journal::decide(const state& now, const read_process_progress&, out&) {
  return now;
}

void process_journal::evolve(state& now, const process_settled& event) noexcept {
  now.settled = event.position();
  now.from = event.from();
  std::erase_if(now.failed, [&](const auto& one) { return one.position <= now.settled; });
}

void process_journal::evolve(state& now, const process_command_failed& event) noexcept {
  now.failed.push_back(read(event));
}

flatbuffers::Offset<process_journal::snapshot>
process_journal::save(const state& now, flatbuffers::FlatBufferBuilder& builder) {
  std::vector<flatbuffers::Offset<process_command_failed>> failed;
  failed.reserve(now.failed.size());
  for (const auto& one : now.failed)
    failed.push_back(write(builder, one));
  return Createprocess_journal_state(builder, now.settled, builder.CreateVector(failed), now.from);
}

process_journal::state process_journal::load(const snapshot& saved) {
  state made{.settled = saved.settled(), .failed = {}, .from = saved.from()};
  if (saved.failed() != nullptr)
    for (const auto* one : *saved.failed())
      made.failed.push_back(read(*one));
  return made;
}

} // namespace acta::runtime
