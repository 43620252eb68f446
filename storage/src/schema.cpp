#include <acta/storage/schema.hpp>

#include <acta/base/binary_schema.hpp>
#include <acta/base/ensure.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acta::storage {

namespace {

using namespace binary_schema;

using object_pair = std::pair<const reflection::Object*, const reflection::Object*>;
using enum_pair = std::pair<const reflection::Enum*, const reflection::Enum*>;

template <class Id, class List>
[[nodiscard]] auto find_by(const List& list, const Id& wanted, auto id_of)
  -> decltype(list.Get(0)) {
  for (const auto* one : list)
    if (id_of(*one) == wanted)
      return one;
  return nullptr;
}

constexpr auto id_of = [](const auto& field) { return field.id(); };
constexpr auto value_of = [](const auto& value) { return value.value(); };
constexpr auto name_text = [](const auto& one) { return text_of(one.name()); };

/// How a type's table, and all it leads to, differs between the store and the program.
class comparison {
public:
  comparison(const reflection::Schema& stored, const reflection::Schema& offered) noexcept
      : stored_(stored), offered_(offered) {}

  /// The first difference that makes them incompatible, in words; none if they are compatible.
  [[nodiscard]] std::optional<std::string> between(const reflection::Object& stored,
                                                   const reflection::Object& offered) {
    ensure(text_of(stored.name()) == text_of(offered.name()), "both are of the one event type");
    objects_to_do_.emplace_back(&stored, &offered);
    while (!objects_to_do_.empty() && !difference_) {
      const auto next = objects_to_do_.back();
      objects_to_do_.pop_back();
      if (objects_done_.insert(next).second)
        compare(*next.first, *next.second);
    }
    if (!difference_ && !less_.empty() && !more_.empty())
      difference_ =
        fmt::format("{}, and {}; take up what the store has before adding more", less_, more_);
    return difference_;
  }

  /// True if the program lacks something the store's schema has.
  [[nodiscard]] bool is_less() const noexcept { return !less_.empty(); }

private:
  template <class... Arguments>
  void differ(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    if (!difference_)
      difference_ = fmt::format(text, std::forward<Arguments>(arguments)...);
  }
  /// The first of each is kept for the message.
  static void note(std::string& in, std::string text) {
    if (in.empty())
      in = std::move(text);
  }

  void compare(const reflection::Object& stored, const reflection::Object& offered) {
    const auto table = text_of(stored.name());
    ensure(table == text_of(offered.name()), "only types of one name are compared");
    if (stored.is_struct() != offered.is_struct())
      return differ("'{}' is a {} in the store and a {} in this program", table,
                    stored.is_struct() ? "struct" : "table",
                    offered.is_struct() ? "struct" : "table");
    if (stored.is_struct()
        && (stored.bytesize() != offered.bytesize() || stored.minalign() != offered.minalign()
            || stored.fields()->size() != offered.fields()->size()))
      return differ("struct '{}' has {} fields in {} bytes in the store and {} in {} in this "
                    "program: a struct never changes",
                    table, stored.fields()->size(), stored.bytesize(), offered.fields()->size(),
                    offered.bytesize());
    for (const auto* field : *stored.fields())
      compare(table, *field, offered);
    for (const auto* field : *offered.fields())
      if (find_by(*stored.fields(), field->id(), id_of) == nullptr)
        compare_new(table, *field);
  }

  void compare(std::string_view table, const reflection::Field& stored,
               const reflection::Object& offered) {
    const auto name = text_of(stored.name());
    const auto* same_name = find_by(*offered.fields(), name, name_text);
    if (same_name != nullptr && same_name->id() != stored.id())
      return differ("table '{}', field '{}': its id is {} in the store and {} in this program",
                    table, name, stored.id(), same_name->id());
    const auto* field = find_by(*offered.fields(), stored.id(), id_of);
    if (field == nullptr)
      return note(less_, fmt::format("table '{}', field '{}' is not in this program", table, name));
    if (field->offset() != stored.offset())
      return differ("struct '{}', field '{}': it lies at byte {} in the store and {} in this "
                    "program",
                    table, name, stored.offset(), field->offset());
    if (!compare_types(*stored.type(), *field->type()))
      return differ("table '{}', field '{}': its type is '{}' in the store and '{}' in this "
                    "program{}",
                    table, name, name_of(stored_, *stored.type()),
                    name_of(offered_, *field->type()), renamed(name, *field));
    compare_values(table, stored, *field);
  }

  [[nodiscard]] static std::string renamed(std::string_view name, const reflection::Field& field) {
    const auto now = text_of(field.name());
    return now == name ? "" : fmt::format(", where it is named '{}'", now);
  }

  void compare_values(std::string_view table, const reflection::Field& stored,
                      const reflection::Field& offered) {
    const auto name = text_of(stored.name());
    const auto bits = [](double value) { return std::bit_cast<std::uint64_t>(value); };
    const bool scalar = scalar_size(stored.type()->base_type()) != 0;
    if (scalar
        && (stored.optional() != offered.optional()
            || stored.default_integer() != offered.default_integer()
            || bits(stored.default_real()) != bits(offered.default_real())))
      differ("table '{}', field '{}': its default is {} in the store and {} in this program", table,
             name, default_of(stored), default_of(offered));
    if (offered.required() && !stored.required())
      differ("table '{}', field '{}': it is required in this program, and stored events may not "
             "have it",
             table, name);
    const auto step = [&](bool from, bool to, const char* what) {
      if (!from && to)
        note(more_, fmt::format("table '{}', field '{}' is {} in this program", table, name, what));
      if (from && !to)
        note(less_, fmt::format("table '{}', field '{}' is {} in the store", table, name, what));
    };
    step(stored.deprecated(), offered.deprecated(), "deprecated");
    step(!stored.required(), !offered.required(), "no longer required");
  }

  [[nodiscard]] static std::string default_of(const reflection::Field& field) {
    if (field.optional())
      return "null";
    const auto type = field.type()->base_type();
    if (type == reflection::Float || type == reflection::Double)
      return fmt::format("{}", field.default_real());
    return fmt::format("{}", field.default_integer());
  }

  void compare_new(std::string_view table, const reflection::Field& offered) {
    const auto name = text_of(offered.name());
    if (offered.required())
      return differ("table '{}', field '{}': it is new and required, and stored events do not have "
                    "it",
                    table, name);
    note(more_, fmt::format("adds table '{}', field '{}'", table, name));
  }

  /// False if they are of different kinds or names. What they name is compared later.
  [[nodiscard]] bool compare_types(const reflection::Type& stored,
                                   const reflection::Type& offered) {
    if (stored.base_type() != offered.base_type() || held_type(stored) != held_type(offered)
        || stored.fixed_length() != offered.fixed_length()
        || name_of(stored_, stored) != name_of(offered_, offered))
      return false;
    const auto in_stored = static_cast<std::uint32_t>(stored.index());
    const auto in_offered = static_cast<std::uint32_t>(offered.index());
    if (held_type(stored) == reflection::Obj)
      objects_to_do_.emplace_back(stored_.objects()->Get(in_stored),
                                  offered_.objects()->Get(in_offered));
    else if (stored.index() >= 0 && offered.index() >= 0)
      compare(*stored_.enums()->Get(in_stored), *offered_.enums()->Get(in_offered));
    return true;
  }

  void compare(const reflection::Enum& stored, const reflection::Enum& offered) {
    if (!enums_done_.emplace(&stored, &offered).second)
      return;
    const auto name = text_of(stored.name());
    for (const auto* value : *stored.values()) {
      const auto* same_name = find_by(*offered.values(), text_of(value->name()), name_text);
      if (same_name != nullptr && same_name->value() != value->value())
        differ("enum '{}': '{}' is {} in the store and {} in this program", name,
               text_of(value->name()), value->value(), same_name->value());
      const auto* same_value = find_by(*offered.values(), value->value(), value_of);
      if (same_value == nullptr)
        note(less_,
             fmt::format("enum '{}': '{}' is not in this program", name, text_of(value->name())));
      else if (stored.is_union() && value->value() != 0
               && !compare_types(*value->union_type(), *same_value->union_type()))
        differ("union '{}': member {} is '{}' in the store and '{}' in this program", name,
               value->value(), name_of(stored_, *value->union_type()),
               name_of(offered_, *same_value->union_type()));
    }
    for (const auto* value : *offered.values())
      if (find_by(*stored.values(), value->value(), value_of) == nullptr)
        note(more_, fmt::format("adds enum '{}', '{}'", name, text_of(value->name())));
  }

  const reflection::Schema& stored_;
  const reflection::Schema& offered_;
  std::vector<object_pair> objects_to_do_;
  std::set<object_pair> objects_done_;
  std::set<enum_pair> enums_done_;
  std::optional<std::string> difference_;
  std::string less_; ///< What the program lacks.
  std::string more_; ///< What the store lacks.
};

/// True if the schema is to be stored in place of what is there.
[[nodiscard]] result<bool> is_to_be_stored(const event_log& log, const event_schema& offered) {
  const auto type = log.event_type_name(offered.type);
  // A caller's bytes may lie anywhere; a schema is read where they are aligned.
  const std::vector<std::byte> aligned(offered.bfbs.begin(), offered.bfbs.end());
  const auto* program = read_schema(aligned);
  const auto* table = program == nullptr ? nullptr : find_table(*program, type);
  if (table == nullptr)
    return failure(errc::invalid_argument,
                   fmt::format("the schema of event type '{}' is not one (flatc -b --schema) with "
                               "a table of that name",
                               type));
  const auto bytes = log.schema(offered.type);
  if (!bytes)
    return std::unexpected(bytes.error());
  if (bytes->empty())
    return true;
  const auto* store = read_schema(*bytes);
  const auto* before = store == nullptr ? nullptr : find_table(*store, type);
  if (before == nullptr)
    return failure(errc::corrupt, fmt::format("the store's schema of event type '{}' is not one; "
                                              "restore a backup",
                                              type));
  comparison compared(*store, *program);
  if (const auto difference = compared.between(*before, *table))
    return failure(errc::incompatible_schema,
                   fmt::format("event type '{}': {}. Stored events are never rewritten: append "
                               "fields at the end, deprecate what is no longer used, or make a new "
                               "event type and an upcaster (docs/schemas.md)",
                               type, *difference));
  return !compared.is_less() && !std::ranges::equal(*bytes, offered.bfbs);
}

} // namespace

result<void> register_schemas(event_log& log, std::span<const event_schema> schemas) {
  std::vector<event_schema> changed;
  for (const auto& one : schemas) {
    ensure(!log.event_type_name(one.type).empty(), "a schema is of an event type the log knows");
    const auto stored = is_to_be_stored(log, one);
    if (!stored)
      return std::unexpected(stored.error());
    if (*stored)
      changed.push_back(one);
  }
  return log.put_schemas(changed);
}

} // namespace acta::storage
