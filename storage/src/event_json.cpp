#include <acta/storage/event_json.hpp>

#include <acta/base/limits.hpp>
#include <acta/base/payload_printer.hpp>

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <string_view>
#include <utility>

namespace acta::storage {

class event_json::implementation {
public:
  explicit implementation(const event_log& log) noexcept : log_(log) {}

  [[nodiscard]] result<std::string> text(const record_view& record) {
    const auto printer = printer_of(record.event_type());
    if (!printer)
      return failure(
        printer.error().code(),
        fmt::format("position {}: {}", record.position().value(), printer.error().message()));
    const auto type = log_.event_type_name(record.event_type());
    switch ((*printer)->print(record.payload())) {
      case printed::whole: return (*printer)->text();
      case printed::too_large:
        return failure(errc::too_large,
                       fmt::format("position {}: event type '{}' is over {} bytes as JSON; read "
                                   "its payload as it is",
                                   record.position().value(), type, limits::max_json_size));
      case printed::malformed: break;
    }
    return failure(errc::corrupt,
                   fmt::format("position {}, stream {}: the payload is not a well-formed '{}', or "
                               "has a string that is not UTF-8",
                               record.position().value(),
                               record.stream().to_string(
                                 log_.category_name(category_id(record.header().category))),
                               type));
  }

private:
  [[nodiscard]] result<payload_printer*> printer_of(event_type_id id) {
    if (const auto known = printers_.find(id.value()); known != printers_.end())
      return &known->second;
    const auto type = log_.event_type_name(id);
    if (type.empty())
      return failure(errc::not_found,
                     fmt::format("event type {} is not one of this store's", id.value()));
    auto bfbs = log_.schema(id);
    if (!bfbs)
      return failure(bfbs);
    if (bfbs->empty())
      return failure(errc::not_found, fmt::format("the store has no schema of event type '{}': no "
                                                  "program that uses acta_add_schema() wrote it",
                                                  type));
    auto made = payload_printer::of(std::move(*bfbs), type);
    if (!made)
      return failure(errc::corrupt, fmt::format("the store's schema of event type '{}' is not one; "
                                                "restore a backup",
                                                type));
    return &printers_.emplace(id.value(), std::move(*made)).first->second;
  }

  const event_log& log_;
  std::map<std::uint16_t, payload_printer> printers_; ///< By event type.
};

event_json::event_json(const event_log& log)
    : implementation_(std::make_unique<implementation>(log)) {}

event_json::~event_json() = default;

result<std::string> event_json::text(const record_view& record) {
  return implementation_->text(record);
}

} // namespace acta::storage
