#include "shop_ledger.hpp"

namespace acta::sim {

const shop_ledger::account& shop_ledger::of(std::string_view order) const {
  static const account none;
  const auto found = accounts_.find(order);
  return found == accounts_.end() ? none : found->second;
}

shop_ledger::account& shop_ledger::account_of(const storage::record_view& record) {
  const auto key = record.key();
  const std::string_view order(reinterpret_cast<const char*>(key.data()), key.size());
  auto found = accounts_.find(order);
  if (found == accounts_.end())
    found = accounts_.emplace(order, account{}).first;
  if (record.header().command.high() == fingerprint_)
    found->second.last_record = record.header().command.low();
  return found->second;
}

} // namespace acta::sim
