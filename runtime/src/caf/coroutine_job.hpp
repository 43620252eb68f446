#pragma once

#include <acta/runtime/detail/resumption.hpp>

#include <caf/resumable.hpp>

#include <coroutine>
#include <cstddef>
#include <new>

namespace acta::runtime {

/// Resumes a coroutine, in whose frame it lies. By then the frame may be gone.
class coroutine_job final : public caf::resumable {
public:
  /// What resume() returns, of which workers of CAF's own make something else: nobody may touch the
  /// job any more, not even to let go of it.
  static constexpr auto is_gone = caf::resumable::shutdown_execution_unit;

  [[nodiscard]] static coroutine_job* make(detail::resumption& of) noexcept {
    static_assert(sizeof(coroutine_job) <= detail::resumption::job_size);
    static_assert(alignof(coroutine_job) <= 8);
    return new (of.job.data()) coroutine_job(of.waiting);
  }

  resume_result resume(caf::execution_unit* unit, std::size_t max_throughput) override;
  void intrusive_ptr_add_ref_impl() override {}
  void intrusive_ptr_release_impl() override {}

private:
  explicit coroutine_job(std::coroutine_handle<> waiting) noexcept : waiting_(waiting) {}

  std::coroutine_handle<> waiting_;
};

} // namespace acta::runtime
