#include "dictionary.hpp"
#include "scanning_cursor.hpp"
#include "store_copy.hpp"

#include <acta/base/ensure.hpp>
#include <acta/storage/event_log.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace acta::storage {

namespace {

/// Records in memory.
///
/// Concurrency: one writer; any number of readers that never wait. Records lie in blocks that never
/// move and are found through chunks of pointers that never move; a chunk's address is published
/// through an atomic. The writer stores record, pointer and chunk before it raises tail_ (release);
/// a reader looks only at positions up to a tail it has loaded (acquire), so it sees them whole.
class memory_log final : public event_log, public dated_log {
public:
  memory_log() : chunks_(max_chunks) {}
  ~memory_log() override {
    for (auto& one : chunks_)
      delete one.load(std::memory_order_relaxed);
  }
  memory_log(const memory_log&) = delete;
  memory_log& operator=(const memory_log&) = delete;

  result<log_position> append(std::span<const std::span<const std::byte>> records,
                              std::int64_t recorded_at_ns) override {
    if (!records.empty())
      last_date_ns_ = std::max(last_date_ns_, recorded_at_ns);
    return append_all(records, last_date_ns_);
  }

  result<log_position> append_dated(std::span<const std::span<const std::byte>> records) override {
    return append_all(records, std::nullopt);
  }
  result<void> begin_at(const log_start& start) override {
    if (start.first == log_position(1))
      return {};
    return failure(errc::invalid_argument,
                   "the beginning of that log was archived, and one in memory begins at position "
                   "1; use a store on disk");
  }

  [[nodiscard]] log_position tail() const noexcept override {
    return log_position(tail_.load(std::memory_order_acquire));
  }

  [[nodiscard]] log_position synced_tail() const noexcept override { return log_position(0); }

  [[nodiscard]] result<std::unique_ptr<log_snapshot>> snapshot() const override;

  [[nodiscard]] result<category_id> register_category(std::string_view name) override {
    return categories_.find_or_add(name);
  }
  [[nodiscard]] result<event_type_id> register_event_type(std::string_view name) override {
    return event_types_.find_or_add(name);
  }
  [[nodiscard]] std::string_view category_name(category_id id) const noexcept override {
    return categories_.name(id);
  }
  [[nodiscard]] std::string_view event_type_name(event_type_id id) const noexcept override {
    return event_types_.name(id);
  }
  [[nodiscard]] result<void> put_schemas(std::span<const event_schema> schemas) override {
    const std::lock_guard guard(schemas_mutex_);
    for (const auto& one : schemas) {
      ensure(!event_type_name(one.type).empty(), "a schema is of an event type that is registered");
      schemas_[one.type.value()].assign(one.bfbs.begin(), one.bfbs.end());
    }
    return {};
  }
  [[nodiscard]] result<std::vector<std::byte>> schema(event_type_id id) const override {
    const std::lock_guard guard(schemas_mutex_);
    const auto found = schemas_.find(id.value());
    return found == schemas_.end() ? std::vector<std::byte>() : found->second;
  }
  [[nodiscard]] storage::durability durability() const noexcept override {
    return durability::memory;
  }

  [[nodiscard]] std::string_view store_id() const noexcept override { return {}; }
  [[nodiscard]] const std::filesystem::path& directory() const noexcept override { return none_; }

  /// A record at or before a tail that was loaded.
  [[nodiscard]] std::span<const std::byte> bytes(std::uint64_t position) const noexcept {
    const auto index = position - 1;
    const auto* in = chunks_[index / chunk_size].load(std::memory_order_relaxed);
    return (*in)[index % chunk_size];
  }

private:
  static constexpr std::size_t chunk_size = std::size_t{1} << 14U;
  static constexpr std::size_t max_chunks = std::size_t{1} << 16U; // a thousand million records
  static constexpr std::size_t block_size = std::size_t{1} << 20U;
  using chunk = std::array<std::span<const std::byte>, chunk_size>;

  /// Without a date the records keep those they have.
  result<log_position> append_all(std::span<const std::span<const std::byte>> records,
                                  std::optional<std::int64_t> recorded_at_ns) {
    auto at = tail_.load(std::memory_order_relaxed);
    if (at + records.size() > std::uint64_t{max_chunks} * chunk_size)
      return failure(errc::map_full, "the log in memory is full; use a store on disk");
    for (const auto& record : records)
      put(++at, record, recorded_at_ns);
    tail_.store(at, std::memory_order_release);
    return log_position(at);
  }

  void put(std::uint64_t position, std::span<const std::byte> record,
           std::optional<std::int64_t> recorded_at_ns) {
    ensure(record.size() % 8 == 0, "the next record lies 8-byte aligned behind this one");
    if (record.size() > left_) {
      left_ = std::max(block_size, record.size());
      blocks_.push_back(std::make_unique<std::uint64_t[]>(left_ / sizeof(std::uint64_t)));
      free_ = reinterpret_cast<std::byte*>(blocks_.back().get());
    }
    ensure(record.size() <= left_, "a block has room for what is put into it");
    std::memcpy(free_, record.data(), record.size());
    if (recorded_at_ns)
      finish_record(free_, record.size(), *recorded_at_ns);
    last_date_ns_ = reinterpret_cast<const record_header*>(free_)->recorded_at_ns;
    const auto index = position - 1;
    auto& in = chunks_[index / chunk_size];
    if (index % chunk_size == 0)
      in.store(new chunk, std::memory_order_relaxed);
    (*in.load(std::memory_order_relaxed))[index % chunk_size] = {free_, record.size()};
    free_ += record.size();
    left_ -= record.size();
  }

  const std::filesystem::path none_;
  std::vector<std::atomic<chunk*>> chunks_;
  std::vector<std::unique_ptr<std::uint64_t[]>> blocks_;
  std::byte* free_ = nullptr;
  std::size_t left_ = 0;
  std::int64_t last_date_ns_ = std::numeric_limits<std::int64_t>::min();
  std::atomic<std::uint64_t> tail_{0};
  dictionary<category_id> categories_;
  dictionary<event_type_id> event_types_;
  mutable std::mutex schemas_mutex_;
  std::map<std::uint16_t, std::vector<std::byte>> schemas_; ///< By event type.
};

class memory_source {
public:
  explicit memory_source(const memory_log& log) noexcept : log_(&log) {}
  [[nodiscard]] result<record_view> read(std::uint64_t position) const {
    return record_view::parse(log_position(position), log_->bytes(position));
  }

private:
  const memory_log* log_;
};

class memory_snapshot final : public log_snapshot {
public:
  explicit memory_snapshot(const memory_log& log) : log_(log), tail_(log.tail()) {}

  [[nodiscard]] log_position first() const noexcept override { return log_position(1); }
  [[nodiscard]] log_position tail() const noexcept override { return tail_; }

  [[nodiscard]] result<void> refresh() override {
    tail_ = log_.tail();
    return {};
  }

  [[nodiscard]] result<record_view> at(log_position position) const& override {
    if (position.value() == 0 || position > tail_)
      return failure(errc::not_found, "position " + std::to_string(position.value())
                                        + ": the log reaches from 1 to "
                                        + std::to_string(tail_.value()));
    return record_view::parse(position, log_.bytes(position.value()));
  }

  using log_snapshot::scan;
  [[nodiscard]] result<std::unique_ptr<log_cursor>>
  scan(log_position from, const scan_options& options) const& override {
    return std::make_unique<scanning_cursor<memory_source>>(memory_source(log_), from, first(),
                                                            tail_, options);
  }

private:
  const memory_log& log_;
  log_position tail_;
};

result<std::unique_ptr<log_snapshot>> memory_log::snapshot() const {
  return std::make_unique<memory_snapshot>(*this);
}

} // namespace

std::unique_ptr<event_log> make_memory_log() {
  return std::make_unique<memory_log>();
}

} // namespace acta::storage
