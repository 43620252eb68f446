#pragma once

#include <acta/base/clock.hpp>
#include <acta/base/expected_version.hpp>
#include <acta/base/ids.hpp>
#include <acta/domain/aggregate.hpp>
#include <acta/runtime/detail/aggregate_type.hpp>
#include <acta/runtime/receipt.hpp>

#include <span>
#include <tuple>
#include <utility>
#include <vector>

/// How the engine's compiled part handles atomic commands whose types it does not know.
namespace acta::runtime::detail {

/// One aggregate of an atomic command, as it was asked for.
struct atomic_part {
  const void* tag; ///< See typed_aggregate::tag.
  stream_id stream;
  expected_version expected;
};

/// The same when it is decided.
struct atomic_member {
  const stream_id& stream;
  stream_version version;
  const void* state;
  domain::event_sink& sink;
};

/// An atomic command from the caller to the last of its aggregates' actors.
class atomic_request {
public:
  explicit atomic_request(std::vector<atomic_part> parts) noexcept : parts_(std::move(parts)) {}
  atomic_request(const atomic_request&) = delete;
  atomic_request& operator=(const atomic_request&) = delete;
  virtual ~atomic_request() = default;

  [[nodiscard]] std::vector<atomic_part>& parts() noexcept { return parts_; }

  [[nodiscard]] virtual bool has_handler() const noexcept = 0;
  /// Calls the user's function; `members` are in the order of parts(). May throw what that throws.
  [[nodiscard]] virtual domain::decision decide(std::span<const atomic_member> members,
                                                flatbuffers::FlatBufferBuilder& builder,
                                                const clock& now) = 0;
  /// Gives the caller his outcome. Once.
  virtual void settle(atomic_outcome&& how) noexcept = 0;

private:
  std::vector<atomic_part> parts_;
};

} // namespace acta::runtime::detail
