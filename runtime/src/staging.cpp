#include "staging.hpp"

#include "prefetch.hpp"

#include <acta/base/ensure.hpp>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace acta::runtime {

namespace {

constexpr std::size_t block_size = std::size_t{256} << 10U;
constexpr std::size_t max_free_blocks = 64;

[[nodiscard]] constexpr std::size_t aligned(std::size_t size) noexcept {
  return (size + 7U) & ~std::size_t{7};
}

} // namespace

/// In front of each record, settlement, and pointer to the next block.
struct staging::frame {
  /// A command that ends with end_of_part is taken with the one behind it.
  enum class kind : std::uint32_t { record, end_of_part, end_of_command, next_block };

  kind what;
  std::uint32_t size; ///< of the content, a multiple of 8

  [[nodiscard]] std::byte* content() noexcept {
    return reinterpret_cast<std::byte*>(this) + sizeof(frame);
  }
  template <class T>
  [[nodiscard]] T* as() noexcept {
    return std::launder(reinterpret_cast<T*>(content()));
  }
};

struct staging::block {
  explicit block(std::size_t bytes)
      : size(bytes), data(static_cast<std::byte*>(::operator new(bytes, std::align_val_t{16}))) {}
  block(const block&) = delete;
  block& operator=(const block&) = delete;
  ~block() { ::operator delete(data, std::align_val_t{16}); }

  std::size_t size;
  std::byte* data;
};

namespace {

constexpr int lines_of_a_command = 4;
constexpr std::size_t jump_size = sizeof(std::uint64_t) + sizeof(void*);

} // namespace

staging::staging() {
  write_.in = fresh_block(0).release();
  sealed_until_ = write_;
  read_ = write_;
}

staging::~staging() {
  ensure(!ready(), "staging destroyed with commands that nobody answered");
  discard();
  delete read_.in; // the block in hand of both sides, as all is read
}

std::unique_ptr<staging::block> staging::fresh_block(std::size_t min_size) {
  const std::lock_guard guard(free_mutex_);
  if (min_size <= block_size && !free_.empty()) {
    auto one = std::move(free_.back());
    free_.pop_back();
    return one;
  }
  return std::make_unique<block>(std::max(block_size, min_size));
}

void staging::recycle(std::unique_ptr<block> used) {
  const std::lock_guard guard(free_mutex_);
  if (used->size == block_size && free_.size() < max_free_blocks)
    free_.push_back(std::move(used));
}

staging::frame* staging::begin_frame(std::size_t content_size) {
  const auto needed = sizeof(frame) + content_size;
  if (write_.offset + needed + jump_size > write_.in->size) {
    auto next = fresh_block(needed + jump_size);
    auto* jump =
      new (write_.in->data + write_.offset) frame{frame::kind::next_block, sizeof(block*)};
    new (jump->content()) block*(next.get());
    write_ = {next.release(), 0};
  }
  auto* made = new (write_.in->data + write_.offset)
    frame{frame::kind::record, static_cast<std::uint32_t>(content_size)};
  write_.offset += needed;
  ensure(write_.offset + jump_size <= write_.in->size, "a block has room to lead to the next");
  return made;
}

std::byte* staging::reserve(std::size_t size) {
  ensure(size % 8 == 0, "a record's size is a multiple of 8");
  auto* to = begin_frame(size)->content();
  reserved_.emplace_back(to, size);
  reserved_bytes_ += size;
  return to;
}

void staging::discard() noexcept {
  auto at = sealed_until_;
  while (at.in != write_.in) { // rare: the command in hand reached into further blocks
    auto* one = std::launder(reinterpret_cast<frame*>(at.in->data + at.offset));
    if (one->what == frame::kind::next_block) {
      auto* next = *one->as<block*>();
      if (at.in != sealed_until_.in)
        delete at.in;
      at = {next, 0};
    } else {
      at.offset += sizeof(frame) + one->size;
    }
  }
  if (at.in != sealed_until_.in)
    delete at.in;
  write_ = sealed_until_;
  reserved_.clear();
  reserved_bytes_ = 0;
}

void staging::write(settlement&& end, bool is_last) {
  ensure(end.command != nullptr, "a command is sealed together with its events");
  static_assert(alignof(settlement) <= 8);
  auto* last = begin_frame(aligned(sizeof(settlement)));
  last->what = is_last ? frame::kind::end_of_command : frame::kind::end_of_part;
  new (last->content()) settlement(std::move(end));
}

void staging::seal(settlement&& end) {
  seal({&end, 1});
}

void staging::seal(std::span<settlement> ends) {
  for (auto& one : ends)
    write(std::move(one), &one == &ends.back());
  reserved_.clear();
  sealed_bytes_ += std::exchange(reserved_bytes_, 0);
  sealed_until_ = write_;
  prefetch(write_.in->data + write_.offset, lines_of_a_command, 64);
  // seq_cst: the committer, about to sleep, and the caller, about to wake it, must not both miss
  // what the other wrote. There is one producer, so the load needs no order.
  sealed_.store(sealed_.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
}

std::size_t staging::take(std::size_t max_bytes, std::vector<std::span<const std::byte>>& records,
                          std::vector<settlement*>& settlements, used_blocks& used) {
  const auto sealed = sealed_.load(std::memory_order_acquire);
  std::size_t bytes = 0;
  bool within_command = false;
  while (taken_ != sealed && (bytes < max_bytes || within_command)) {
    auto* one = std::launder(reinterpret_cast<frame*>(read_.in->data + read_.offset));
    switch (one->what) {
      case frame::kind::record:
        records.emplace_back(one->content(), one->size);
        bytes += one->size;
        within_command = true;
        break;
      case frame::kind::end_of_part:
        settlements.push_back(one->as<settlement>());
        within_command = true;
        break;
      case frame::kind::end_of_command:
        settlements.push_back(one->as<settlement>());
        ++taken_;
        within_command = false;
        break;
      case frame::kind::next_block:
        used.emplace_back(this, read_.in);
        read_ = {*one->as<block*>(), 0};
        continue;
    }
    read_.offset += sizeof(frame) + one->size;
    ensure(read_.offset <= read_.in->size, "frames lie within their block");
  }
  taken_bytes_ += bytes;
  return bytes;
}

void staging::release(used_blocks& used) {
  for (auto [of, one] : used)
    of->recycle(std::unique_ptr<block>(one));
  used.clear();
}

} // namespace acta::runtime
