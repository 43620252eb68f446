#pragma once

#include <acta/base/error.hpp>
#include <acta/base/ids.hpp>
#include <acta/domain/aggregate.hpp>
#include <acta/storage/event_log.hpp>

#include <array>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace acta::projections {

/// A read model built from the log. Lifecycle: attach() once, then apply() with records in log
/// order, each once, by one thread at a time.
class projection {
public:
  projection(const projection&) = delete;
  projection& operator=(const projection&) = delete;
  virtual ~projection() = default;

  [[nodiscard]] virtual std::string_view name() const noexcept = 0;
  /// Looks up the store's numbers of the event types it wants.
  virtual void attach(const storage::event_log& log) = 0;
  /// Applies records as they are now, upcast; the position of the last one is now reached. An
  /// error, or an exception, stops the projection.
  [[nodiscard]] virtual result<void> apply(std::span<const storage::record_view> records) = 0;

protected:
  projection() = default;
};

/// A projection held in memory with a handler for each event type it wants:
///
///     class tape final : public event_handlers<tape, domain::event_list<order_executed>> {
///       void on(const order_executed& event, const storage::record_view& record);
///       ...
///     };
///
/// Handlers run under mutex(); queries lock it too, on any thread, and hold a batch up
/// (limits::cursor_batch records) at most. `Derived` makes this class a friend, or on() public.
template <class Derived, class Events>
class event_handlers;

template <class Derived, class... Events>
class event_handlers<Derived, domain::event_list<Events...>> : public projection {
public:
  void attach(const storage::event_log& log) final {
    static constexpr std::array<std::pair<const char* (*)(), handler>, sizeof...(Events)> wanted{
      {{&Events::GetFullyQualifiedName, &call<Events>}...}};
    handlers_.assign(1, nullptr);
    for (event_type_id id(1); !log.event_type_name(id).empty(); id = id.next()) {
      handler found = nullptr;
      for (const auto& [name, function] : wanted)
        if (log.event_type_name(id) == name())
          found = function;
      handlers_.push_back(found);
    }
  }

  [[nodiscard]] result<void> apply(std::span<const storage::record_view> records) final {
    const std::lock_guard guard(mutex_);
    for (const auto& record : records) {
      const auto type = record.event_type().value();
      if (type >= handlers_.size() || handlers_[type] == nullptr)
        continue;
      if (auto handled = handlers_[type](static_cast<Derived&>(*this), record); !handled)
        return handled;
    }
    return {};
  }

protected:
  [[nodiscard]] std::mutex& mutex() const noexcept { return mutex_; }

private:
  using handler = result<void> (*)(Derived&, const storage::record_view&);

  template <class Event>
  static result<void> call(Derived& derived, const storage::record_view& record) {
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
    derived.on(*event, record);
    return {};
  }

  mutable std::mutex mutex_;
  std::vector<handler> handlers_; // by event_type_id
};

} // namespace acta::projections
