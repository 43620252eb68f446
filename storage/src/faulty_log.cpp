#include <acta/storage/faulty_log.hpp>

#include <acta/base/ensure.hpp>

#include <utility>

namespace acta::storage {

forwarding_log::forwarding_log(std::shared_ptr<event_log> to) : to_(std::move(to)) {
  ensure(to_ != nullptr, "there is a log to pass everything on to");
}

result<log_position> forwarding_log::append(std::span<const std::span<const std::byte>> records,
                                            std::int64_t recorded_at_ns) {
  return to_->append(records, recorded_at_ns);
}

log_position forwarding_log::tail() const noexcept {
  return to_->tail();
}

log_position forwarding_log::synced_tail() const noexcept {
  return to_->synced_tail();
}

void forwarding_log::on_sync(const sync_listener& listener) {
  to_->on_sync(listener);
}

result<std::unique_ptr<log_snapshot>> forwarding_log::snapshot() const {
  return to_->snapshot();
}

result<category_id> forwarding_log::register_category(std::string_view name) {
  return to_->register_category(name);
}

result<event_type_id> forwarding_log::register_event_type(std::string_view name) {
  return to_->register_event_type(name);
}

std::string_view forwarding_log::category_name(category_id id) const noexcept {
  return to_->category_name(id);
}

std::string_view forwarding_log::event_type_name(event_type_id id) const noexcept {
  return to_->event_type_name(id);
}

result<void> forwarding_log::put_schemas(std::span<const event_schema> schemas) {
  return to_->put_schemas(schemas);
}

result<std::vector<std::byte>> forwarding_log::schema(event_type_id id) const {
  return to_->schema(id);
}

storage::durability forwarding_log::durability() const noexcept {
  return to_->durability();
}

std::string_view forwarding_log::store_id() const noexcept {
  return to_->store_id();
}

const std::filesystem::path& forwarding_log::directory() const noexcept {
  return to_->directory();
}

error log_faults::told_to_fail() {
  return {errc::io, "faulty_log: told to fail"};
}

void log_faults::fail_commit(std::size_t nth, error why) {
  ensure(nth != 0, "the next commit is the first from now on");
  const std::lock_guard guard(mutex_);
  failing_ = {.nth = nth, .why = std::move(why)};
}

void log_faults::hold_commits() {
  const std::lock_guard guard(mutex_);
  held_ = true;
}

void log_faults::wait_for_held_commit() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return waiting_ != 0; });
}

void log_faults::release_commits() {
  const std::lock_guard guard(mutex_);
  held_ = false;
  waiting_ = 0;
  ++released_;
  changed_.notify_all();
}

void log_faults::fail_reads(error why) {
  const std::lock_guard guard(mutex_);
  reads_ = std::move(why);
}

void log_faults::heal_reads() {
  const std::lock_guard guard(mutex_);
  reads_.reset();
}

std::optional<error> log_faults::before_commit() {
  std::unique_lock lock(mutex_);
  if (held_) {
    ++waiting_;
    changed_.notify_all();
    const auto before = released_; // held_ may be set again before this wakes
    changed_.wait(lock, [&] { return released_ != before; });
  }
  if (!failing_ || --failing_->nth != 0)
    return std::nullopt;
  return std::exchange(failing_, std::nullopt)->why;
}

std::optional<error> log_faults::before_read() {
  const std::lock_guard guard(mutex_);
  return reads_;
}

class faulty_log final : public forwarding_log {
public:
  faulty_log(std::shared_ptr<event_log> to, std::shared_ptr<log_faults> faults)
      : forwarding_log(std::move(to)), faults_(std::move(faults)) {
    ensure(faults_ != nullptr, "a faulty log has its switches");
  }

  result<log_position> append(std::span<const std::span<const std::byte>> records,
                              std::int64_t recorded_at_ns) override {
    if (!records.empty() && !failed_)
      failed_ = faults_->before_commit();
    if (!records.empty() && failed_)
      return std::unexpected(*failed_);
    return forwarding_log::append(records, recorded_at_ns);
  }

  result<std::unique_ptr<log_snapshot>> snapshot() const override {
    if (auto why = faults_->before_read())
      return std::unexpected(std::move(*why));
    return forwarding_log::snapshot();
  }

private:
  std::shared_ptr<log_faults> faults_;
  std::optional<error> failed_; ///< The committer's.
};

std::unique_ptr<event_log> make_faulty_log(std::shared_ptr<event_log> log,
                                           std::shared_ptr<log_faults> faults) {
  return std::make_unique<faulty_log>(std::move(log), std::move(faults));
}

} // namespace acta::storage
