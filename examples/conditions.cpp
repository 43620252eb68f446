// Events of several streams in one step, each stream under a condition; no engine, no aggregate.
// Run: conditions [DIRECTORY]
#include <acta/storage/event_log.hpp>
#include <acta/storage/schema.hpp>
#include <acta/storage/stream_writer.hpp>

#include "conditions_generated.h" // made by flatc from conditions.fbs

#include <fmt/core.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <span>

namespace example {

using namespace acta;
using storage::stream_append;

template <class Offset>
std::span<const std::byte> finish(flatbuffers::FlatBufferBuilder& builder, Offset root) {
  builder.Finish(root);
  return std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
}

result<void> run(const char* directory) {
  auto log = storage::open_log(directory);
  if (!log)
    return failure(log);
  // The names, and what events of these types look like: the store describes itself.
  const auto account = (*log)->register_category("account");
  const auto out = (*log)->register_event_type(sent::GetFullyQualifiedName());
  const auto in = (*log)->register_event_type(received::GetFullyQualifiedName());
  if (!account || !out || !in)
    return failure(errc::io, "the names cannot be stored");
  const std::array schemas{storage::event_schema{*out, std::as_bytes(schema_of<sent>)},
                           storage::event_schema{*in, std::as_bytes(schema_of<received>)}};
  if (auto known = storage::register_schemas(**log, schemas); !known)
    return known;

  auto writer = storage::stream_writer::open(**log);
  if (!writer)
    return failure(writer);
  flatbuffers::FlatBufferBuilder first;
  flatbuffers::FlatBufferBuilder second;
  const storage::new_event sent_100{.type = *out, .payload = finish(first, Createsent(first, 100))};
  const storage::new_event received_100{.type = *in,
                                        .payload = finish(second, Createreceived(second, 100))};
  const stream_id alice(*account, 1);
  const stream_id bob(*account, 2);
  const stream_id rules(*account, 3);

  // Both events or neither. A part without events is a condition alone.
  const std::array step{stream_append{alice, expected_version::none(), {&sent_100, 1}},
                        stream_append{bob, expected_version::none(), {&received_100, 1}},
                        stream_append{rules, expected_version::none(), {}}};
  for (int i = 0; i < 2; ++i) {
    const auto done = (*writer)->append(step);
    if (done)
      fmt::print("stored up to position {}\n", done->position.value());
    else // every condition that does not hold is named
      fmt::print("{}: {}\n", name(done.error().code()), done.error().message());
  }
  return {};
}

} // namespace example

int main(int argc, char** argv) {
  const auto done = example::run(argc > 1 ? argv[1] : "conditions_store");
  if (!done)
    fmt::print(stderr, "conditions: {}\n", done.error().message());
  return done ? 0 : 1;
}
