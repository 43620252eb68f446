#pragma once

#include "scratch_directory.hpp"

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>

namespace acta::tests {

/// A folder with files as the Olist data set has them: five small orders, of which every one is
/// something that the real ones are too.
///
/// - a: two items, paid in two parts that are not in order in the file, delivered
/// - b: cancelled, and without items
/// - c: paid too much, and cancelled after it was handed to the carrier
/// - d: delivered before it was handed to the carrier
/// - e: never approved, paid with nothing, and unavailable
class olist_files {
public:
  olist_files() {
    for (const auto& [name, text] : texts_)
      write(name, text);
  }

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return directory_.path(); }
  [[nodiscard]] std::filesystem::path path(const std::string& name) const {
    return path() / file(name);
  }

  /// Writes one of the files anew: "orders", "items", "payments", "products" or "customers".
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
  }
  /// The same, with a part of what it first had replaced.
  void replace(const std::string& name, const std::string& what, const std::string& by) const {
    auto text = texts_.at(name);
    text.replace(text.find(what), what.size(), by);
    write(name, text);
  }
  /// Lets it be as it first was.
  void restore(const std::string& name) const { write(name, texts_.at(name)); }

private:
  [[nodiscard]] static std::string file(const std::string& name) {
    const bool whole = name == "items" || name == "payments";
    return "olist_" + (whole ? "order_" + name : name) + "_dataset.csv";
  }

  scratch_directory directory_;
  const std::map<std::string, std::string> texts_{
    {"orders", "order_id,customer_id,order_status,order_purchase_timestamp,order_approved_at,"
               "order_delivered_carrier_date,order_delivered_customer_date,"
               "order_estimated_delivery_date\n"
               "e,c2,unavailable,2017-01-09 08:00:00,,,,2017-02-01 00:00:00\n"
               "a,c1,delivered,2017-01-01 10:00:00,2017-01-01 10:05:00,2017-01-02 09:00:00,"
               "2017-01-05 12:00:00,2017-02-01 00:00:00\n"
               "b,c2,canceled,2017-01-01 10:00:01,2017-01-01 10:00:02,,,2017-02-01 00:00:00\n"
               "c,c3,canceled,2017-01-03 10:00:00,2017-01-03 11:00:00,2017-01-04 09:00:00,,"
               "2017-02-01 00:00:00\n"
               "d,c1,delivered,2017-01-06 10:00:00,2017-01-06 10:00:00,2017-01-08 09:00:00,"
               "2017-01-07 12:00:00,2017-02-01 00:00:00\n"},
    {"items", "order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,"
              "freight_value\n"
              "a,2,p2,s,2017-01-02 09:00:00,5.5,0.50\n"
              "a,1,p1,s,2017-01-02 09:00:00,10.00,1.0\n"
              "c,1,p1,s,2017-01-02 09:00:00,20,2\n"
              "d,1,p2,s,2017-01-02 09:00:00,6.00,1.00\n"
              "e,1,p1,s,2017-01-02 09:00:00,4.00,0.0\n"},
    {"payments", "order_id,payment_sequential,payment_type,payment_installments,payment_value\n"
                 "a,2,voucher,1,5.00\n"
                 "a,1,credit_card,3,12.00\n"
                 "b,1,boleto,1,3.00\n"
                 "c,1,credit_card,1,30.00\n"
                 "d,1,debit_card,1,7.00\n"
                 "e,1,not_defined,1,0.00\n"},
    {"products", "\xEF\xBB\xBFproduct_id,product_category_name,product_name_lenght\n"
                 "p1,\"toys, \"\"big\"\"\",3\n"
                 "p2,,\n"},
    {"customers", "customer_unique_id,customer_id,customer_city\r\n"
                  "u1,c1,\"sao\npaulo\"\r\n"
                  "u2,c2,rio\r\n"
                  "u1,c3,rio\r\n"},
  };
};

} // namespace acta::tests
