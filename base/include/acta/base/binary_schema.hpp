#pragma once

#include <flatbuffers/reflection_generated.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

/// FlatBuffers schemas in flatc's binary form (bfbs).
namespace acta::inline base::binary_schema {

/// The schema in these bytes (8-byte aligned), borrowed from them; nullptr if they are none. What
/// it returns was checked so far that every index in it leads somewhere, every field of a struct
/// lies within it, table fields are where their ids put them, names are identifiers, and no two of
/// a kind have the same name, id or value.
[[nodiscard]] const reflection::Schema* read_schema(std::span<const std::byte> bfbs);

/// The table of that fully qualified name; nullptr if there is none.
[[nodiscard]] const reflection::Object* find_table(const reflection::Schema& schema,
                                                   std::string_view name) noexcept;

[[nodiscard]] inline std::string_view text_of(const flatbuffers::String* text) noexcept {
  return text == nullptr ? std::string_view() : std::string_view(text->c_str(), text->size());
}

/// True for vectors and arrays.
[[nodiscard]] inline bool is_sequence(const reflection::Type& type) noexcept {
  return type.base_type() == reflection::Vector || type.base_type() == reflection::Array;
}

/// What a type holds: itself, or the type of its elements.
[[nodiscard]] inline reflection::BaseType held_type(const reflection::Type& type) noexcept {
  return is_sequence(type) ? type.element() : type.base_type();
}

/// Bytes of a scalar; 0 for what is none.
[[nodiscard]] std::size_t scalar_size(reflection::BaseType type) noexcept;

/// A type, much as a schema's author wrote it: "long", "[string]", "shop.item", "shop.color:byte".
[[nodiscard]] std::string name_of(const reflection::Schema& schema, const reflection::Type& type);

} // namespace acta::inline base::binary_schema
