#include <acta/base/binary_schema.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

namespace acta::inline base::binary_schema {

namespace {

constexpr std::array<std::size_t, reflection::Array + 1> scalar_sizes{0, 1, 1, 1, 1, 2, 2, 4, 4,
                                                                      8, 8, 4, 8, 0, 0, 0, 0, 0};

/// Looks at what the FlatBuffers verifier does not: that the parts of a schema fit each other.
class schema_checker {
public:
  explicit schema_checker(const reflection::Schema& schema) noexcept : schema_(schema) {}

  [[nodiscard]] bool sound() const {
    for (const auto* object : *schema_.objects())
      if (object == nullptr || !sound(*object))
        return false;
    for (const auto* one : *schema_.enums())
      if (one == nullptr || !sound(*one))
        return false;
    return are_unique(*schema_.objects(), name_in<reflection::Object>)
           && are_unique(*schema_.enums(), name_in<reflection::Enum>);
  }

private:
  template <class Named>
  [[nodiscard]] static std::string_view name_in(const Named* of) noexcept {
    return text_of(of->name());
  }

  /// What is looked for by a key is there once.
  template <class List, class Key>
  [[nodiscard]] static bool are_unique(const List& list, Key key) {
    std::vector<decltype(key(*list.begin()))> keys;
    for (const auto* one : list)
      keys.push_back(key(one));
    std::ranges::sort(keys);
    return std::ranges::adjacent_find(keys) == keys.end();
  }

  /// What can be printed as it is.
  [[nodiscard]] static bool is_name(const flatbuffers::String* text) noexcept {
    return std::ranges::all_of(text_of(text), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'
             || c == '.';
    });
  }

  [[nodiscard]] bool sound(const reflection::Enum& one) const {
    if (!is_name(one.name()))
      return false;
    for (const auto* value : *one.values()) {
      if (value == nullptr || !is_name(value->name()))
        return false;
      if (one.is_union() && value->value() != 0
          && (value->union_type() == nullptr || !sound_member(*value->union_type())))
        return false;
    }
    return sound(*one.underlying_type())
           && are_unique(*one.values(), [](const auto* value) { return value->value(); });
  }

  [[nodiscard]] bool sound_member(const reflection::Type& type) const noexcept {
    return sound(type)
           && (type.base_type() == reflection::Obj || type.base_type() == reflection::String);
  }

  [[nodiscard]] bool sound(const reflection::Object& object) const {
    if (!is_name(object.name()))
      return false;
    if (object.is_struct()
        && (object.bytesize() <= 0 || object.minalign() <= 0
            || !std::has_single_bit(static_cast<std::uint32_t>(object.minalign()))))
      return false;
    for (const auto* field : *object.fields())
      if (field == nullptr || !is_name(field->name()) || !sound(*field->type())
          || !(object.is_struct() ? lies_within(object, *field) : is_where_it_must(*field)))
        return false;
    return are_unique(*object.fields(), name_in<reflection::Field>)
           && are_unique(*object.fields(), [](const auto* field) { return field->id(); });
  }

  [[nodiscard]] bool lies_within(const reflection::Object& object,
                                 const reflection::Field& field) const noexcept {
    const auto& type = *field.type();
    auto size = scalar_size(held_type(type));
    if (held_type(type) == reflection::Obj) {
      const auto& held = *schema_.objects()->Get(static_cast<std::uint32_t>(type.index()));
      if (!held.is_struct() || held.bytesize() <= 0)
        return false;
      size = static_cast<std::size_t>(held.bytesize());
    }
    if (type.base_type() == reflection::Array)
      size *= type.fixed_length();
    return size != 0 && type.base_type() != reflection::Vector
           && field.offset() + size <= static_cast<std::size_t>(object.bytesize());
  }

  /// A union's value follows its type's field.
  [[nodiscard]] static bool is_where_it_must(const reflection::Field& field) noexcept {
    constexpr auto first = 2 * sizeof(flatbuffers::voffset_t);
    return field.offset() == first + sizeof(flatbuffers::voffset_t) * field.id()
           && field.type()->base_type() != reflection::Array
           && (held_type(*field.type()) != reflection::Union || field.id() > 0);
  }

  [[nodiscard]] bool sound(const reflection::Type& type) const noexcept {
    // As numbers first: an enumeration must not be read with a value it does not have.
    const auto& table = reinterpret_cast<const flatbuffers::Table&>(type);
    for (const auto field : {reflection::Type::VT_BASE_TYPE, reflection::Type::VT_ELEMENT})
      if (const auto value = table.GetField<std::int8_t>(field, 0);
          value < reflection::None || value > reflection::Array)
        return false;
    const auto held = held_type(type);
    if (held <= reflection::None || held >= reflection::Array || held == reflection::Vector)
      return false;
    const auto index = static_cast<std::uint32_t>(type.index());
    if (held == reflection::Obj)
      return index < schema_.objects()->size();
    if (held == reflection::Union || type.index() >= 0) // an enumeration
      return index < schema_.enums()->size();
    return true;
  }

  const reflection::Schema& schema_;
};

} // namespace

const reflection::Schema* read_schema(std::span<const std::byte> bfbs) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(bfbs.data());
  flatbuffers::Verifier verifier(bytes, bfbs.size());
  if (!reflection::VerifySchemaBuffer(verifier))
    return nullptr;
  const auto* schema = reflection::GetSchema(bytes);
  return schema_checker(*schema).sound() ? schema : nullptr;
}

const reflection::Object* find_table(const reflection::Schema& schema,
                                     std::string_view name) noexcept {
  for (const auto* object : *schema.objects())
    if (!object->is_struct() && text_of(object->name()) == name)
      return object;
  return nullptr;
}

std::size_t scalar_size(reflection::BaseType type) noexcept {
  return scalar_sizes.at(static_cast<std::size_t>(type));
}

std::string name_of(const reflection::Schema& schema, const reflection::Type& type) {
  static constexpr std::array<std::string_view, reflection::Array + 1> names{
    "none", "utype", "bool",  "byte",   "ubyte",  "short",  "ushort", "int",   "uint",
    "long", "ulong", "float", "double", "string", "vector", "table",  "union", "array"};
  const auto held = held_type(type);
  const auto index = static_cast<std::uint32_t>(type.index());
  std::string name(names.at(static_cast<std::size_t>(held)));
  if (held == reflection::Obj)
    name = text_of(schema.objects()->Get(index)->name());
  else if (type.index() >= 0)
    name = std::string(text_of(schema.enums()->Get(index)->name())) + ':' + name;
  if (type.base_type() == reflection::Array)
    return "[" + name + ":" + std::to_string(type.fixed_length()) + "]";
  return type.base_type() == reflection::Vector ? "[" + name + "]" : name;
}

} // namespace acta::inline base::binary_schema
