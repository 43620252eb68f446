#include "disk_image.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace acta::tests {

namespace {

using kind = disk_operation::kind;

constexpr std::uint64_t page_size = 4096;
constexpr std::uint64_t sector_size = 512; ///< What a device writes whole or not at all.

struct range {
  std::uint64_t from;
  std::uint64_t to;
};

/// Chooses what of the unsynced is on the disk.
class choices {
public:
  explicit choices(const power_cut& cut) : random_(cut.seed), keeps_all_(cut.keeps_all) {
    constexpr std::array often{0.0, 0.1, 0.5, 0.9, 1.0};
    keep_ = keeps_all_ ? 1.0 : often[random_() % often.size()];
  }

  /// True if something is kept.
  [[nodiscard]] bool keep() { return keeps_all_ || chance(keep_); }
  [[nodiscard]] bool chance(double of) {
    return std::uniform_real_distribution<double>()(random_) < of;
  }
  /// How many of `count` steps, at least `least`, were taken.
  [[nodiscard]] std::size_t steps(std::size_t least, std::size_t count) {
    if (keep())
      return count;
    return chance(0.5) ? least : least + random_() % (count - least + 1);
  }
  [[nodiscard]] bool torn() { return !keeps_all_ && chance(0.25); }
  [[nodiscard]] std::string noise(std::size_t size) {
    std::string bytes(size, '\0');
    std::ranges::generate(bytes, [this] { return static_cast<char>(random_()); });
    return bytes;
  }

private:
  std::mt19937_64 random_;
  bool keeps_all_;
  double keep_;
};

/// A write or resize that no sync covers: each sector of it may have reached the disk, or not. And
/// what came after one.
struct loose_step {
  const disk_operation* operation;
  range touched;
  std::uint64_t size; ///< Of the file after it.
  bool settled;       ///< It is durable: a write of O_DSYNC, or after one whose sync failed.

  [[nodiscard]] bool touches(const range& place) const {
    return touched.from < place.to && place.from < touched.to;
  }
};

void overwrite(std::string& content, const loose_step& step, const range& within) {
  const auto from = std::max(step.touched.from, within.from);
  const auto to = std::min(step.touched.to, within.to);
  if (from >= to)
    return;
  if (step.operation->what == kind::write)
    content.replace(from, to - from, step.operation->bytes, from - step.touched.from, to - from);
  else
    content.replace(from, to - from, to - from, '\0');
}

/// One file: what is durable of it, and what came after.
class file_history {
public:
  void add(const disk_operation& operation, bool covered, bool settled) {
    const auto size = steps_.empty() ? durable_.size() : steps_.back().size;
    const bool writes = operation.what == kind::write;
    const auto end = writes ? operation.value + operation.bytes.size() : operation.value;
    const loose_step step{.operation = &operation,
                          .touched =
                            writes ? range{operation.value, end} : range{std::min(end, size), size},
                          .size = writes ? std::max(size, end) : end,
                          .settled = settled || covered};
    if (!covered || !steps_.empty()) { // the first that is not durable, and what came after it
      steps_.push_back(step);
      return;
    }
    durable_.resize(std::max<std::size_t>(durable_.size(), step.size));
    overwrite(durable_, step, step.touched);
    durable_.resize(step.size);
  }

  [[nodiscard]] std::string on_disk(choices& random) const {
    auto content = durable_;
    std::map<std::uint64_t, std::vector<const loose_step*>> pages;
    for (const auto& step : steps_) {
      content.resize(std::max<std::size_t>(content.size(), step.size));
      for (auto page = step.touched.from / page_size; page * page_size < step.touched.to; ++page)
        pages[page].push_back(&step);
    }
    content.resize(std::max<std::size_t>(content.size(), furthest()));
    for (const auto& [page, steps] : pages)
      write_page(content, page * page_size, steps, random);
    content.resize(choose_size(random));
    return content;
  }

private:
  [[nodiscard]] std::uint64_t furthest() const {
    std::uint64_t end = 0;
    for (const auto& step : steps_)
      end = std::max(end, step.touched.to);
    return end;
  }

  /// A page on the disk is the page as it was in memory at some moment since the last sync; each
  /// sector at another one if the page was being written when the power went.
  static void write_page(std::string& content, std::uint64_t start,
                         const std::vector<const loose_step*>& steps, choices& random) {
    const bool torn = random.torn();
    const auto taken = random.steps(0, steps.size());
    for (auto from = start; from < start + page_size; from += sector_size) {
      const range sector{from, from + sector_size};
      std::size_t least = 0;
      for (std::size_t i = 0; i < steps.size(); ++i)
        if (steps[i]->settled && steps[i]->touches(sector))
          least = i + 1;
      const auto count = std::max(least, torn ? random.steps(0, steps.size()) : taken);
      for (std::size_t i = 0; i < count; ++i)
        overwrite(content, *steps[i], sector);
    }
  }

  [[nodiscard]] std::uint64_t choose_size(choices& random) const {
    std::size_t least = 0;
    for (std::size_t i = 0; i < steps_.size(); ++i)
      if (steps_[i].settled)
        least = i + 1;
    const auto taken = random.steps(least, steps_.size());
    return taken == 0 ? durable_.size() : steps_[taken - 1].size;
  }

  std::string durable_;
  std::vector<loose_step> steps_;
};

/// Which operations a sync made durable before the cut.
class promises {
public:
  promises(std::span<const disk_operation> operations, const power_cut& cut) {
    for (std::size_t i = 0; i < cut.at; ++i) {
      const auto& operation = operations[i];
      if (operation.what == kind::abandon)
        abandoned_[operation.file].push_back(i);
      if (operation.what != kind::settle || cut.kind == device::forgets_everything)
        continue;
      const auto& settled = operations[operation.value];
      if (settled.what == kind::write)
        writes_.insert(operation.value);
      else if (cut.kind == device::honest)
        syncs_[settled.file].push_back(operation.value);
    }
    for (auto& [file, begun] : syncs_) // they may have ended in another order
      std::ranges::sort(begun);
  }

  /// True if a sync of `file` began after operation `at` and ended before the cut, and no sync in
  /// between failed.
  [[nodiscard]] bool covers(int file, std::size_t at) const {
    const auto sync = first_after(syncs_, file, at);
    return sync && *sync < first_after(abandoned_, file, at).value_or(*sync + 1);
  }
  [[nodiscard]] bool is_settled(std::size_t at) const { return writes_.contains(at); }

private:
  using places = std::map<int, std::vector<std::size_t>>;

  [[nodiscard]] static std::optional<std::size_t> first_after(const places& in, int file,
                                                              std::size_t at) {
    const auto all = in.find(file);
    if (all == in.end())
      return {};
    const auto found = std::ranges::upper_bound(all->second, at);
    return found == all->second.end() ? std::nullopt : std::optional(*found);
  }

  places syncs_;
  places abandoned_;
  std::set<std::size_t> writes_;
};

/// Names: those that are durable, and of the others either all up to some moment, as a journal
/// keeps them, or any.
class names {
public:
  names(std::span<const disk_operation> operations, const power_cut& cut, const promises& synced,
        choices& random) {
    const bool journaled = random.chance(0.5);
    bool lost = false;
    for (std::size_t i = 0; i < cut.at; ++i) {
      const auto& operation = operations[i];
      if (operation.directory < 0)
        continue;
      bool durable = synced.covers(operation.directory, i);
      if (operation.what == kind::rename)
        durable = durable && synced.covers(operation.to_directory, i);
      const bool kept = random.keep() && !(journaled && lost);
      lost = lost || (!durable && !kept);
      if (durable || kept)
        apply(operation);
    }
  }

  [[nodiscard]] const std::map<std::string, int>& in(int directory) { return names_[directory]; }
  [[nodiscard]] bool is_directory(int number) const { return directories_.contains(number); }

private:
  void apply(const disk_operation& operation) {
    auto& directory = names_[operation.directory];
    switch (operation.what) {
      case kind::make_directory: directories_.insert(operation.file); [[fallthrough]];
      case kind::create: directory[operation.name] = operation.file; break;
      case kind::remove: directory.erase(operation.name); break;
      default:
        directory.erase(operation.name);
        names_[operation.to_directory][operation.to_name] = operation.file;
    }
  }

  std::map<int, std::map<std::string, int>> names_;
  std::set<int> directories_;
};

class image {
public:
  image(std::span<const disk_operation> operations, const power_cut& cut)
      : random_(cut), synced_(operations, cut), names_(operations, cut, synced_, random_),
        keeps_all_(cut.keeps_all) {
    for (std::size_t i = 0; i < cut.at; ++i) {
      const auto& operation = operations[i];
      if (operation.what == kind::create && !operation.bytes.empty())
        links_[operation.file] = operation.bytes; // written with its name
      if (operation.what == kind::write || operation.what == kind::resize)
        files_[operation.file].add(operation, synced_.covers(operation.file, i),
                                   synced_.is_settled(i));
    }
  }

  void write(int directory, const std::filesystem::path& to) {
    for (const auto& [name, number] : names_.in(directory)) {
      if (names_.is_directory(number)) {
        std::filesystem::create_directory(to / name);
        write(number, to / name);
        continue;
      }
      if (const auto link = links_.find(number); link != links_.end()) {
        std::filesystem::create_symlink(link->second, to / name);
        continue;
      }
      auto content = files_[number].on_disk(random_);
      if (name == "lock.mdb" && !keeps_all_) // written through a map, so nobody knows
        content = random_.noise(content.size());
      std::ofstream(to / name, std::ios::binary) << content;
    }
  }

private:
  choices random_;
  promises synced_;
  names names_;
  bool keeps_all_;
  std::map<int, file_history> files_;
  std::map<int, std::string> links_;
};

} // namespace

void make_image(std::span<const disk_operation> operations, const power_cut& cut,
                const std::filesystem::path& to) {
  image(operations, cut).write(0, to);
}

} // namespace acta::tests
