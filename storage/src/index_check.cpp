#include "index_check.hpp"

#include "index_chunk.hpp"
#include "index_key.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <tuple>

namespace acta::storage {

namespace {

constexpr std::string_view tie_tree = "meta";
constexpr std::string_view stream_tree = "streams";

[[nodiscard]] std::uint64_t hash_of(const std::array<std::uint64_t, 3>& words) noexcept {
  return XXH3_64bits(words.data(), sizeof words);
}

/// An entry's stream and first version, and its positions; empty if it is malformed.
struct index_entry {
  index_entry_name name;
  index_chunk positions;
};

[[nodiscard]] std::optional<index_entry> parse(const lmdb_entry& entry) noexcept {
  const auto name = parse_index_key(entry.key);
  const index_chunk positions(entry.value);
  if (!name || name->version == stream_version(0) || !positions.is_well_formed()
      || positions.size() > limits::index_chunk)
    return std::nullopt;
  return index_entry{*name, positions};
}

} // namespace

index_check::index_check(std::string_view store_id, log_position first, log_position tail,
                         derived_sink found)
    : store_id_(store_id), first_(first.value()), tail_(tail.value()), found_(std::move(found)),
      parts_(std::clamp<std::uint64_t>(tail_ / limits::index_chunk, min_parts, max_parts)) {
  ensure(found_ != nullptr, "what is found is told to somebody");
}

void index_check::add(const lmdb_tree& of, const lmdb_entry& entry) {
  if (of.name == tie_tree)
    read_tie(entry);
  else if (of.name == stream_tree && tie_)
    read_entry(entry);
}

void index_check::read_tie(const lmdb_entry& entry) {
  const std::string_view name(reinterpret_cast<const char*>(entry.key.data()), entry.key.size());
  if (name != index_tie_name)
    return;
  has_tie_ = true;
  const index_tie expected;
  index_tie tie;
  const bool whole = entry.value.size() == sizeof tie;
  if (whole)
    std::memcpy(&tie, entry.value.data(), sizeof tie);
  if (!whole || tie.magic != expected.magic || tie.version != expected.version
      || tie.endian_mark != expected.endian_mark)
    return found_({.what = "it is not an index of this format", .byte = entry.byte});
  if (std::string_view(tie.store_id.data(), tie.store_id.size()) != store_id_)
    return found_({.what = "it is the index of another store", .byte = entry.byte});
  if (tie.watermark > tail_)
    return found_({.what = fmt::format("it is built through position {}, and the log ends at {}",
                                       tie.watermark, tail_),
                   .byte = entry.byte});
  if (tie.watermark < first_ && first_ > 1)
    return; // what it lacks was archived: opening makes it anew
  tie_ = tie;
  is_tied_ = tie.watermark == 0;
  behind_.assign(tail_ - tie.watermark, false);
}

/// In one part are events of one entry, mostly, and of no other of its stream: so no part is large.
std::size_t index_check::part_of(std::uint64_t stream, std::uint64_t version) const noexcept {
  return hash_of({stream, (version - 1) / limits::index_chunk, 0}) % parts_.size();
}

void index_check::read_entry(const lmdb_entry& entry) {
  const auto parsed = parse(entry);
  if (!parsed)
    return found_({.what = "an entry of it is malformed", .byte = entry.byte});
  const auto& [name, positions] = *parsed;
  const auto hash = stream_hash(name.stream);
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const auto version = name.version.value() + i;
    const auto position = positions[i];
    if (position < first_)
      continue;
    auto& in = parts_[part_of(hash, version)];
    in.sum -= hash_of({hash, version, position});
    ++in.in_index;
    if (position > tie_->watermark && position <= tail_)
      behind_[position - tie_->watermark - 1] = true;
  }
}

/// Not what was archived. Behind the watermark the index has what a batch that was cut short has
/// put there.
bool index_check::is_counted(std::uint64_t position) const {
  if (position < first_)
    return false;
  return position <= tie_->watermark
         || (position <= tail_ && behind_[position - tie_->watermark - 1]);
}

void index_check::add(const record_view& record) {
  const auto position = record.position().value();
  if (!tie_ || !is_counted(position))
    return;
  if (position == tie_->watermark)
    is_tied_ = record.header().checksum == tie_->checksum;
  const auto hash = record.stream_hash();
  const auto version = record.version().value();
  auto& in = parts_[part_of(hash, version)];
  in.sum += hash_of({hash, version, position});
  ++in.in_log;
}

/// Returns how many that differ are left out.
std::uint64_t index_check::choose_parts() {
  std::uint64_t events = 0;
  std::uint64_t left_out = 0;
  for (auto& one : parts_) {
    if (one.sum == 0 && one.in_log == one.in_index)
      continue;
    const auto more = one.in_log + one.in_index;
    one.chosen = events == 0 || events + more <= max_compared;
    events += one.chosen ? more : 0;
    left_out += one.chosen ? 0U : 1U;
  }
  return left_out;
}

void index_check::compare(const again& sources) {
  if (!has_tie_)
    return found_({.what = "it does not say which log it is of"});
  if (!tie_)
    return;
  if (!is_tied_)
    return found_(
      {.what = fmt::format("it was built from another log: the record at its watermark, "
                           "position {}, has another checksum",
                           tie_->watermark),
       .position = log_position(tie_->watermark)});
  ensure(parts_.size() >= min_parts, "no part has more of a damaged index than fits the memory");
  const auto left_out = choose_parts();
  if (std::ranges::none_of(parts_, &part::chosen))
    return;
  std::vector<event> log;
  std::vector<event> index;
  const auto keep = [&](std::vector<event>& in, const stream_id& stream, event&& one) {
    if (one.version == 0 || !parts_[part_of(one.hash, one.version)].chosen)
      return;
    one.stream = stream;
    in.push_back(one);
  };
  sources.records([&](const record_view& record) {
    if (is_counted(record.position().value()))
      keep(log, record.stream(),
           {record.stream(), record.stream_hash(), record.version().value(),
            record.position().value(), 0});
  });
  sources.entries([&](const lmdb_tree& of, const lmdb_entry& entry) {
    const auto parsed = of.name == stream_tree ? parse(entry) : std::nullopt;
    for (std::size_t i = 0; parsed && i < parsed->positions.size(); ++i)
      if (parsed->positions[i] >= first_)
        keep(index, parsed->name.stream,
             {parsed->name.stream, stream_hash(parsed->name.stream),
              parsed->name.version.value() + i, parsed->positions[i], entry.byte});
  });
  compare(log, index);
  if (left_out != 0)
    found_({.what =
              fmt::format("{} of its {} parts differ from the log, too", left_out, parts_.size())});
}

void index_check::compare(std::vector<event>& log, std::vector<event>& index) const {
  const auto key = [](const event& one) { return std::tuple(one.hash, one.version, one.position); };
  std::ranges::sort(log, {}, key);
  std::ranges::sort(index, {}, key);
  auto wanted = log.begin();
  for (auto there = index.begin(); there != index.end() || wanted != log.end();) {
    if (wanted != log.end() && there != index.end() && key(*wanted) == key(*there)) {
      ++wanted;
      ++there;
      continue;
    }
    const bool of_one = wanted != log.end() && there != index.end() && wanted->hash == there->hash
                        && wanted->version == there->version;
    if (of_one) {
      tell(*there, fmt::format("the index has it at position {}, and the log at {}",
                               there->position, wanted->position));
      ++wanted;
      ++there;
    } else if (there == index.end() || (wanted != log.end() && key(*wanted) < key(*there))) {
      tell(*wanted, "the index does not have it");
      ++wanted;
    } else {
      tell(*there, "the index has it, and the log does not");
      ++there;
    }
  }
}

void index_check::tell(const event& of, const std::string& what) const {
  found_({.what = fmt::format("version {}, position {}: {}", of.version, of.position, what),
          .byte = of.byte,
          .position = log_position(of.position),
          .stream = of.stream});
}

} // namespace acta::storage
