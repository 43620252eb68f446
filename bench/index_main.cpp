// acta-bench-index: appends with the index of streams beside them, against appends alone in the
// same run; and reads of short streams.
#include "support.hpp"

#include <acta/base/ids.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/record.hpp>
#include <acta/storage/stream_index.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace acta::bench {

namespace {

namespace fs = std::filesystem;
using steady = std::chrono::steady_clock;

struct settings {
  std::uint64_t streams = 1'000'000;
  std::uint64_t events = 20'000'000;
  std::uint64_t short_streams = 1'000'000; ///< Of five events each, to be read.
  std::size_t per_transaction = 1'000;
  std::size_t index_memory = limits::default_index_memory;
  std::uint64_t settle = 0; ///< MiB written to the device before each run.
  int rounds = 1;
  fs::path directory; ///< Where the stores are made and removed again.
};

constexpr std::size_t payload_size = 48;
constexpr std::uint64_t million = 1'000'000;

/// Encodes events of given streams, a transaction's worth at a time.
class transaction {
public:
  explicit transaction(std::uint64_t streams) : versions_(streams) {}

  void clear() {
    size_ = 0;
    records_.clear();
  }
  void add(std::uint64_t stream) {
    const storage::record_fields fields{.stream = stream_id(category_id(1), stream),
                                        .version = stream_version(++versions_[stream]),
                                        .command = {},
                                        .event_type = event_type_id(1),
                                        .metadata = {},
                                        .payload = payload_};
    const auto size = storage::record_size(fields) / sizeof(std::uint64_t);
    if (words_.size() < size_ + size)
      words_.resize(std::max(2 * words_.size(), std::size_t{1} << 20U)); // before the first record
    auto* to = reinterpret_cast<std::byte*>(words_.data() + size_);
    storage::encode_record(fields, to);
    records_.emplace_back(to, size * sizeof(std::uint64_t));
    size_ += size;
  }
  [[nodiscard]] std::span<const std::span<const std::byte>> records() const { return records_; }

private:
  std::vector<std::uint32_t> versions_;
  std::array<std::byte, payload_size> payload_{};
  std::vector<std::uint64_t> words_;
  std::size_t size_ = 0;
  std::vector<std::span<const std::byte>> records_;
};

/// Keeps an index behind a log, on a thread of its own, as an engine does.
class follower {
public:
  follower(storage::stream_index& index, const storage::event_log& log)
      : index_(index), log_(log), thread_([this] { run(); }) {}
  ~follower() {
    stopping_ = true;
    told_.fetch_add(1);
    told_.notify_one();
    thread_.join();
  }
  follower(const follower&) = delete;
  follower& operator=(const follower&) = delete;

  /// The log has grown. Waits while the index is too far behind it.
  void follow(std::uint64_t max_lag) {
    if (log_.tail().value() - index_.watermark().value() < worth_indexing)
      return;
    told_.fetch_add(1);
    told_.notify_one();
    while (log_.tail().value() - index_.watermark().value() > max_lag) {
      ++waits_;
      std::this_thread::yield();
    }
  }
  [[nodiscard]] bool ever_waited() const { return waits_ != 0; }

private:
  static constexpr std::uint64_t worth_indexing = 65'536;

  void run() {
    for (auto seen = told_.load(); !stopping_; seen = told_.load()) {
      value_or_give_up(index_.catch_up());
      told_.wait(seen);
    }
  }

  storage::stream_index& index_;
  const storage::event_log& log_;
  std::atomic<std::uint64_t> told_{0};
  std::atomic<bool> stopping_{false};
  std::uint64_t waits_ = 0;
  std::thread thread_;
};

struct measured {
  std::vector<double> millions; ///< Seconds of each million events.
  double seconds = 0;
  bool waited = false;

  [[nodiscard]] double rate(std::uint64_t events) const {
    return static_cast<double>(events) / seconds;
  }
  /// Of the last million to the first.
  [[nodiscard]] double flatness() const { return millions.front() / millions.back(); }
};

[[nodiscard]] measured append_all(storage::event_log& log, const settings& with, follower* behind) {
  std::mt19937_64 random(1);
  transaction next(with.streams);
  measured found;
  const auto start = steady::now();
  auto begin = start;
  for (std::uint64_t done = 0; done < with.events;) {
    next.clear();
    const auto until = std::min(with.events, done + with.per_transaction);
    for (; done < until; ++done)
      next.add(random() % with.streams);
    value_or_give_up(log.append(next.records(), 0));
    if (behind != nullptr)
      behind->follow(with.index_memory / 64);
    if (done % million == 0) {
      found.millions.push_back(seconds_since(begin));
      begin = steady::now();
    }
  }
  found.seconds = seconds_since(start);
  found.waited = behind != nullptr && behind->ever_waited();
  return found;
}

[[nodiscard]] std::unique_ptr<storage::event_log> open(const fs::path& store) {
  auto log = value_or_give_up(storage::open_log(store));
  value_or_give_up(log->register_category("bench"));
  value_or_give_up(log->register_event_type("bench.event"));
  return log;
}

/// A virtual device may take the first gigabytes faster than it goes on: what is measured after
/// them is what it sustains.
void settle(const settings& with, const fs::path& store) {
  if (with.settle == 0)
    return;
  fs::create_directories(store.parent_path());
  const auto path = store.parent_path() / "settling";
  const int out = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  constexpr std::size_t mebibyte = std::size_t{1} << 20U;
  std::vector<std::uint64_t> block(mebibyte / sizeof(std::uint64_t));
  std::ranges::generate(block, std::mt19937_64(3)); // which no device packs
  for (std::uint64_t done = 0; done < with.settle; ++done)
    if (::write(out, block.data(), mebibyte) != ssize_t{mebibyte} || ::fdatasync(out) != 0)
      give_up(fmt::format("'{}': writing failed; is there room?", path.string()));
  ::close(out);
  fs::remove(path);
}

[[nodiscard]] measured log_only(const settings& with) {
  const store_directory directory(with.directory);
  settle(with, directory.store());
  return append_all(*open(directory.store()), with, nullptr);
}

[[nodiscard]] measured with_index(const settings& with) {
  const store_directory directory(with.directory);
  settle(with, directory.store());
  const auto log = open(directory.store());
  const auto index =
    value_or_give_up(storage::stream_index::open(*log, {.memory = with.index_memory}));
  follower behind(*index, *log);
  return append_all(*log, with, &behind);
}

/// Microseconds to read a stream of five events, the median of many.
struct read_times {
  double open_ms = 0;   ///< To open the log and its index.
  double device_us = 0; ///< With nothing of the store in the page cache.
  double first_us = 0;
  double again_us = 0;
};

/// Reads each stream twice in a row.
[[nodiscard]] read_times read_each(const storage::event_log& log,
                                   const storage::stream_index& index,
                                   const std::vector<std::uint64_t>& streams) {
  std::vector<double> first;
  std::vector<double> again;
  const auto snapshot = value_or_give_up(log.snapshot());
  for (const auto one : streams)
    for (auto* times : {&first, &again}) {
      const auto start = steady::now();
      const auto found = value_or_give_up(index.read(stream_id(category_id(1), one), *snapshot));
      times->push_back(seconds_since(start) * 1e6);
      if (found.size() != 5)
        give_up(fmt::format("stream {} has {} events", one, found.size()));
    }
  return {.first_us = median(first), .again_us = median(again)};
}

[[nodiscard]] read_times open_and_read(const fs::path& store,
                                       const std::vector<std::uint64_t>& streams) {
  const auto start = steady::now();
  const auto log = open(store);
  const auto index = value_or_give_up(storage::stream_index::open(*log));
  const auto open_ms = seconds_since(start) * 1e3;
  auto found = read_each(*log, *index, streams);
  found.open_ms = open_ms;
  return found;
}

/// Takes a store that is closed out of the page cache.
void forget(const fs::path& store) {
  for (const auto* part : {"log", "index"}) {
    const auto path = store / part / "data.mdb";
    const int data = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (::posix_fadvise(data, 0, 0, POSIX_FADV_DONTNEED) != 0)
      give_up(fmt::format("'{}': it stays in the page cache", path.string()));
    ::close(data);
  }
}

[[nodiscard]] read_times read_short_streams(const settings& with) {
  const store_directory directory(with.directory);
  {
    const auto log = open(directory.store());
    transaction next(with.short_streams);
    for (int version = 1; version <= 5; ++version)
      for (std::uint64_t stream = 0; stream < with.short_streams;) {
        next.clear();
        for (std::size_t i = 0; i < 10'000 && stream < with.short_streams; ++i)
          next.add(stream++);
        value_or_give_up(log->append(next.records(), 0));
      }
    // With so little memory that all of it goes to the disk.
    value_or_give_up(storage::stream_index::open(*log, {.memory = std::size_t{1} << 20U}));
  }
  std::mt19937_64 random(2);
  std::vector<std::uint64_t> streams(10'000);
  for (auto& one : streams)
    one = random() % with.short_streams;
  forget(directory.store());
  const auto device_us =
    open_and_read(directory.store(), {streams.begin(), streams.begin() + 500}).first_us;
  auto found = open_and_read(directory.store(), streams);
  found.device_us = device_us;
  return found;
}

template <class Get>
[[nodiscard]] double median_of(const std::vector<measured>& all, Get get) {
  std::vector<double> values(all.size());
  std::ranges::transform(all, values.begin(), get);
  return median(std::move(values));
}

void run(const settings& with) {
  std::vector<measured> alone;
  std::vector<measured> indexed;
  for (int round = 0; round < with.rounds; ++round) {
    alone.push_back(log_only(with));
    indexed.push_back(with_index(with));
    fmt::print("round {}: log alone {:.0f} events/s, with the index {:.0f} ({:.2f} of it){}\n",
               round + 1, alone.back().rate(with.events), indexed.back().rate(with.events),
               alone.back().seconds / indexed.back().seconds,
               indexed.back().waited ? ", appends waited for the index" : "");
    for (const auto* of : {&alone.back(), &indexed.back()}) {
      fmt::print("  ms of each million {}:",
                 of == &alone.back() ? "of the log alone" : "with the index");
      for (const auto one : of->millions)
        fmt::print(" {:.0f}", one * 1e3);
      fmt::print("\n");
    }
  }
  const auto rate = [&](const measured& one) { return one.rate(with.events); };
  const auto flat = [](const measured& one) { return one.flatness(); };
  const auto reads = read_short_streams(with);
  fmt::print("\nMedians of {} rounds: {} events of {} bytes in {} streams, {} a transaction, "
             "durability power\n",
             with.rounds, with.events, payload_size, with.streams, with.per_transaction);
  fmt::print("  {:<44}{:>12.0f}\n", "events/s into the log alone", median_of(alone, rate));
  fmt::print("  {:<44}{:>12.0f}  {:.2f} of it\n", "events/s with the index beside it",
             median_of(indexed, rate), median_of(indexed, rate) / median_of(alone, rate));
  if (with.events >= 2 * million)
    fmt::print("  {:<44}{:>12.2f}  log alone {:.2f}\n", "the last million's rate to the first's",
               median_of(indexed, flat), median_of(alone, flat));
  fmt::print("  {:<44}{:>12.1f}  from the device\n", "us to read a stream of 5 events",
             reads.device_us);
  fmt::print("  {:<44}{:>12.1f}\n", "the same, from the page cache", reads.first_us);
  fmt::print("  {:<44}{:>12.1f}\n", "us to read it again at once", reads.again_us);
  fmt::print("  {:<44}{:>12.1f}  {} events\n", "ms to open log and index", reads.open_ms,
             5 * with.short_streams);
}

} // namespace

} // namespace acta::bench

int main(int argc, char** argv) {
  acta::bench::settings with;
  with.directory = std::filesystem::temp_directory_path();
  CLI::App app("acta-bench-index: appends with the index of streams beside them, against appends "
               "alone; and reads of short streams.",
               "acta-bench-index");
  app.add_option("--streams", with.streams, "Streams, chosen at random")
    ->check(CLI::PositiveNumber)
    ->capture_default_str();
  app.add_option("--events", with.events, "Events to append")
    ->check(CLI::PositiveNumber)
    ->capture_default_str();
  app.add_option("--short-streams", with.short_streams, "Streams of five events to read from")
    ->check(CLI::PositiveNumber)
    ->capture_default_str();
  app.add_option("--per-transaction", with.per_transaction, "Events of one commit")
    ->check(CLI::PositiveNumber)
    ->capture_default_str();
  app.add_option("--index-memory", with.index_memory, "Bytes")
    ->check(CLI::PositiveNumber)
    ->capture_default_str();
  app
    .add_option(
      "--settle", with.settle,
      "MiB to write and sync before each run: 4096 where a virtual device takes the first "
      "gigabytes faster than it goes on")
    ->capture_default_str();
  app.add_option("--rounds", with.rounds, "Rounds; the figures are their medians")
    ->check(CLI::PositiveNumber)
    ->capture_default_str();
  app.add_option("--directory", with.directory, "Where to make the stores: the device measured")
    ->check(CLI::ExistingDirectory)
    ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  acta::bench::run(with);
}
