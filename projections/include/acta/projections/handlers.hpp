#pragma once

#include <acta/base/error.hpp>
#include <acta/domain/aggregate.hpp>
#include <acta/projections/projection.hpp>
#include <acta/storage/event_log.hpp>

#include <concepts>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace acta::projections {

/// A read model: a class with a name, a version, the events it wants, and a handler for each. In
/// memory it holds what it knows itself; elsewhere its handlers are given what to write to.
///
///     struct revenue {
///       static constexpr std::string_view name = "revenue";
///       static constexpr std::uint32_t version = 1;
///       using events = domain::event_list<order_placed>;
///
///       void on(const order_placed& event, const storage::record_view&) { cents += event.total();
///       }
///
///       std::int64_t cents = 0;
///     };
///
/// A handler returns nothing, or result<void>; what it throws is an error too.
template <class Model>
concept read_model = requires {
  { Model::name } -> std::convertible_to<std::string_view>;
  { Model::version } -> std::convertible_to<std::uint32_t>;
  typename Model::events;
};

/// Gives records to the handlers of a read model. `Writer` is what they get besides.
template <read_model Model, class... Writer>
class handlers {
public:
  /// Looks up the numbers of the event types, and returns them; of that part of the streams.
  storage::scan_options attach(const storage::event_log& log, view_part of = {}) {
    auto wanted = attach(log, typename Model::events());
    wanted.part = of.part;
    wanted.parts = of.parts;
    return wanted;
  }

  /// Handles all of them, or up to the first that fails.
  [[nodiscard]] step_result apply(Model& model, std::span<const storage::record_view> records,
                                  Writer&... writer) const {
    for (std::size_t i = 0; i < records.size(); ++i)
      if (auto done = apply(model, records[i], writer...); !done)
        return std::unexpected(failed_step{std::move(done.error()), i});
    return {};
  }

private:
  using handler = result<void> (*)(Model&, const storage::record_view&, Writer&...);

  template <class... Events>
  storage::scan_options attach(const storage::event_log& log, domain::event_list<Events...>) {
    storage::scan_options wanted;
    by_type_.assign(1, nullptr);
    for (event_type_id id(1); !log.event_type_name(id).empty(); id = id.next()) {
      handler found = nullptr;
      const auto name = log.event_type_name(id);
      ((name == Events::GetFullyQualifiedName() ? void(found = &call<Events>) : void()), ...);
      by_type_.push_back(found);
      if (found != nullptr)
        wanted.event_types.push_back(id);
    }
    return wanted;
  }

  [[nodiscard]] result<void> apply(Model& model, const storage::record_view& record,
                                   Writer&... writer) const {
    const auto type = record.event_type().value();
    if (type >= by_type_.size() || by_type_[type] == nullptr)
      return {};
    return by_type_[type](model, record, writer...);
  }

  template <class Event>
  static result<void> call(Model& model, const storage::record_view& record, Writer&... writer) {
    const auto named = [&] {
      return "position " + std::to_string(record.position().value()) + ": event type '"
             + Event::GetFullyQualifiedName() + "' version "
             + std::to_string(record.header().schema_version);
    };
    if (record.header().schema_version > domain::schema_version<Event>)
      return failure(errc::incompatible_schema,
                     named() + " is newer than this program knows; use a newer program");
    const auto* event = domain::verified<Event>(record.payload());
    if (event == nullptr)
      return failure(errc::corrupt,
                     named() + " is not a well-formed FlatBuffer of its type; restore a backup");
    const auto threw = [&](const char* what) {
      return failure(errc::handler_failed,
                     named() + ": view '" + std::string(Model::name) + "' threw: " + what);
    };
    try {
      if constexpr (std::is_void_v<decltype(model.on(*event, record, writer...))>) {
        model.on(*event, record, writer...);
        return {};
      } else {
        return model.on(*event, record, writer...);
      }
    } catch (const std::exception& thrown) {
      return threw(thrown.what());
    } catch (...) {
      return threw("something that is no std::exception");
    }
  }

  std::vector<handler> by_type_; // by event_type_id
};

} // namespace acta::projections
