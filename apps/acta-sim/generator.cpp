#include "generator.hpp"

#include "decimal.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>

namespace acta::sim {

namespace {

constexpr std::int64_t tick = price_unit / 100;
/// Quotes lie 1 to this many ticks from the middle, more of them near it.
constexpr std::uint64_t band = 50;
constexpr std::uint64_t largest_quantity = 1'000;

/// Each instrument has a middle of its own.
[[nodiscard]] constexpr std::int64_t middle(std::uint32_t instrument) noexcept {
  return (100 + 10 * std::int64_t{instrument}) * price_unit;
}

} // namespace

generator::generator(std::uint64_t orders, std::uint64_t seed, std::uint32_t instruments)
    : orders_(orders), instruments_(instruments), state_(seed) {
  const std::array<std::uint64_t, 3> settings{orders, seed, instruments};
  fingerprint_ = XXH3_64bits(settings.data(), sizeof settings) | 1U;
  live_.reserve(max_live);
}

/// SplitMix64 (Steele, Lea, Flood, 2014).
std::uint64_t generator::random() noexcept {
  auto x = (state_ += 0x9e3779b97f4a7c15ULL);
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31U);
}

/// The upper half of 32 random bits times the bound (Lemire, "Fast random integer generation in an
/// interval", 2019, without its rejection: the bias is below 1e-5 for the bounds used here).
std::uint64_t generator::random(std::uint64_t below) noexcept {
  return ((random() >> 32U) * below) >> 32U;
}

std::int64_t generator::random_price(std::uint32_t instrument, trading::side side) noexcept {
  const auto first = random(band);
  const auto second = random(band);
  const auto distance = static_cast<std::int64_t>(1 + std::min(first, second)) * tick;
  return middle(instrument) + (side == trading::side::buy ? -distance : distance);
}

double generator::progress() const {
  return orders_ == 0 ? 1 : static_cast<double>(submitted_) / static_cast<double>(orders_);
}

bool generator::next(step& next) {
  const bool all_submitted = submitted_ == orders_;
  if (all_submitted && live_.size() <= left_at_end)
    return false;
  next.record = ++record_;
  const auto kind = random(1'000);
  if (kind < 2 && !live_.empty())
    misbehave(next);
  else if (kind < 7)
    print(next);
  else if (!all_submitted && live_.size() < max_live && (kind < 407 || live_.size() < max_live / 2))
    submit(next);
  else
    change(next);
  return true;
}

void generator::submit(step& next) {
  live_order order;
  order.id = ++submitted_;
  order.instrument = 1 + static_cast<std::uint32_t>(random(instruments_));
  order.side = random(2) == 0 ? trading::side::buy : trading::side::sell;
  order.price = random_price(order.instrument, order.side);
  order.quantity = 1 + static_cast<std::int64_t>(random(largest_quantity));
  next.key = order.id;
  next.what = trading::submit{order.instrument, order.side, order.price, order.quantity};
  live_.push_back(order);
}

/// Changes or ends a random order that rests.
void generator::change(step& next) {
  const auto index = random(live_.size());
  auto& order = live_[index];
  next.key = order.id;
  const auto part =
    1 + static_cast<std::int64_t>(random(static_cast<std::uint64_t>(order.quantity)));
  const auto kind = random(100);
  if (kind < 20) {
    order.price = random_price(order.instrument, order.side);
    next.what = trading::modify{.price = order.price, .quantity = {}};
  } else if (kind < 45) {
    next.what = trading::execute{.quantity = part, .price = {}};
    take(index, part);
  } else if (kind < 55) {
    next.what = trading::reduce{.quantity = part};
    take(index, part);
  } else if (kind < 80) {
    next.what = trading::execute{.quantity = order.quantity, .price = {}};
    take(index, order.quantity);
  } else {
    next.what = trading::cancel{};
    take(index, order.quantity);
  }
}

void generator::take(std::size_t index, std::int64_t quantity) {
  live_[index].quantity -= quantity;
  if (live_[index].quantity == 0) {
    live_[index] = live_.back();
    live_.pop_back();
  }
}

void generator::print(step& next) {
  const auto instrument = 1 + static_cast<std::uint32_t>(random(instruments_));
  next.key = instrument;
  next.what = trading::print_trade{.price = middle(instrument),
                                   .quantity = 1 + static_cast<std::int64_t>(random(100))};
}

/// An unknown order, or more executed than rests.
void generator::misbehave(step& next) {
  if (random(2) == 0) {
    next.key = orders_ + 1 + random(orders_ + 1);
    next.what = trading::cancel{};
  } else {
    const auto& order = live_[random(live_.size())];
    next.key = order.id;
    next.what = trading::execute{.quantity = order.quantity + 1, .price = {}};
  }
}

} // namespace acta::sim
