#include <acta/base/payload_printer.hpp>

#include <acta/base/binary_schema.hpp>
#include <acta/base/ensure.hpp>
#include <acta/base/limits.hpp>

#include <fmt/format.h>

#include <flatbuffers/flatbuffers.h>
#include <flatbuffers/util.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace acta::inline base {

namespace {

using namespace binary_schema;

using fields = std::vector<const reflection::Field*>;

/// Checks a FlatBuffer and prints it in one walk. FlatBuffers' own reflection verifier and text
/// generator (2.0.8) read fields before they check them, and round floating-point numbers.
///
/// Functions return false where the bytes are not well formed, or the text is too large.
class json_printer {
public:
  explicit json_printer(const reflection::Schema& schema) noexcept : schema_(schema) {}

  [[nodiscard]] bool print(const reflection::Object& root, std::span<const std::byte> payload) {
    bytes_ = reinterpret_cast<const std::uint8_t*>(payload.data());
    size_ = payload.size();
    verifier_.emplace(bytes_, size_);
    text_.clear();
    const auto offset = verifier_->VerifyOffset(std::size_t{0});
    return offset != 0 && table(bytes_ + offset, root);
  }
  [[nodiscard]] bool is_too_large() const noexcept { return text_.size() > limits::max_json_size; }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

private:
  [[nodiscard]] bool table(const std::uint8_t* at, const reflection::Object& of) {
    if (is_too_large() || !verifier_->VerifyTableStart(at))
      return false;
    const auto& table = *reinterpret_cast<const flatbuffers::Table*>(at);
    text_ += '{';
    bool first = true;
    for (const auto* field : in_order(of)) {
      const auto offset = table.GetOptionalFieldOffset(field->offset());
      if (offset == 0 && field->required())
        return false;
      if (offset == 0 && !is_printed_at_its_default(*field))
        continue;
      begin_field(*field, first);
      if (offset == 0)
        scalar_default(*field);
      else if (!value(at + offset, table, *field))
        return false;
    }
    text_ += '}';
    return verifier_->EndTable();
  }

  [[nodiscard]] static bool is_printed_at_its_default(const reflection::Field& field) noexcept {
    return scalar_size(field.type()->base_type()) != 0 && !field.optional() && !field.deprecated();
  }

  /// The fields of an object in the order of their ids; flatc sorts them by name.
  [[nodiscard]] const fields& in_order(const reflection::Object& of) {
    auto& ordered = in_order_[&of];
    if (ordered.empty()) {
      ordered.assign(of.fields()->begin(), of.fields()->end());
      std::ranges::sort(ordered, {}, &reflection::Field::id);
    }
    return ordered;
  }

  void begin_field(const reflection::Field& field, bool& first) {
    if (!std::exchange(first, false))
      text_ += ',';
    // A name is an identifier: nothing in it is escaped.
    fmt::format_to(std::back_inserter(text_), "\"{}\":", text_of(field.name()));
  }

  /// What a field of a table holds at `at`, which may be anywhere.
  [[nodiscard]] bool value(const std::uint8_t* at, const flatbuffers::Table& in,
                           const reflection::Field& field) {
    const auto& type = *field.type();
    if (const auto size = scalar_size(type.base_type()); size != 0)
      return is_there(at, size, size) && (scalar(at, type.base_type(), type), true);
    if (type.base_type() == reflection::Obj && object_of(type).is_struct())
      return structure(at, object_of(type));
    const auto* target = follow(at);
    if (target == nullptr)
      return false;
    switch (type.base_type()) {
      case reflection::String: return string(target);
      case reflection::Obj: return table(target, object_of(type));
      case reflection::Union: return member(target, type, type_field_of(in, field));
      case reflection::Vector:
        return type.element() == reflection::Union ? unions(target, in, field)
                                                   : vector(target, type);
      default: return false;
    }
  }

  [[nodiscard]] const reflection::Object& object_of(const reflection::Type& type) const {
    const auto index = static_cast<std::uint32_t>(type.index());
    ensure(index < schema_.objects()->size(), "read_schema() checked where a type leads");
    return *schema_.objects()->Get(index);
  }

  [[nodiscard]] const reflection::Enum& enum_of(const reflection::Type& type) const {
    const auto index = static_cast<std::uint32_t>(type.index());
    ensure(index < schema_.enums()->size(), "read_schema() checked where a type leads");
    return *schema_.enums()->Get(index);
  }

  [[nodiscard]] std::size_t place_of(const std::uint8_t* at) const noexcept {
    return static_cast<std::size_t>(at - bytes_);
  }

  [[nodiscard]] bool is_there(const std::uint8_t* at, std::size_t size,
                              std::size_t alignment) const noexcept {
    return verifier_->VerifyAlignment(place_of(at), alignment) && size <= size_
           && place_of(at) <= size_ - size;
  }

  /// Where the offset at `at` leads to; nullptr if that is not in the payload.
  [[nodiscard]] const std::uint8_t* follow(const std::uint8_t* at) const noexcept {
    const auto offset = verifier_->VerifyOffset(place_of(at));
    return offset == 0 ? nullptr : at + offset;
  }

  /// The type of a union is in the field before it; nullptr if it is not there.
  [[nodiscard]] const std::uint8_t* type_field_of(const flatbuffers::Table& in,
                                                  const reflection::Field& field) const noexcept {
    ensure(field.id() > 0, "read_schema() saw a field before a union's");
    const auto before = static_cast<flatbuffers::voffset_t>(field.offset() - 2U);
    const auto offset = in.GetOptionalFieldOffset(before);
    const auto* at = reinterpret_cast<const std::uint8_t*>(&in) + offset;
    return offset != 0 && is_there(at, 1, 1) ? at : nullptr;
  }

  [[nodiscard]] bool member(const std::uint8_t* target, const reflection::Type& type,
                            const std::uint8_t* which) {
    if (which == nullptr)
      return false;
    const auto* found = enumerator(enum_of(type), *which);
    if (found == nullptr || found->value() == 0) {
      text_ += "null"; // of a newer schema, or none: nothing tells what it is
      return true;
    }
    const auto& of = *found->union_type();
    if (of.base_type() == reflection::String)
      return string(target);
    return object_of(of).is_struct() ? structure(target, object_of(of))
                                     : table(target, object_of(of));
  }

  [[nodiscard]] bool unions(const std::uint8_t* at, const flatbuffers::Table& in,
                            const reflection::Field& field) {
    const auto* types_field = type_field_of(in, field);
    const auto* types = types_field == nullptr ? nullptr : follow(types_field);
    if (types == nullptr || !verifier_->VerifyVectorOrString(types, 1)
        || !verifier_->VerifyVectorOrString(at, sizeof(flatbuffers::uoffset_t))
        || count_of(types) != count_of(at))
      return false;
    return list(elements_of(at), count_of(at), sizeof(flatbuffers::uoffset_t),
                [&, which = elements_of(types)](const auto* element) mutable {
                  const auto* target = follow(element);
                  return target != nullptr && member(target, *field.type(), which++);
                });
  }

  [[nodiscard]] static std::uint32_t count_of(const std::uint8_t* vector) noexcept {
    return read<flatbuffers::uoffset_t>(vector);
  }
  [[nodiscard]] static const std::uint8_t* elements_of(const std::uint8_t* vector) noexcept {
    return vector + sizeof(flatbuffers::uoffset_t);
  }

  [[nodiscard]] bool vector(const std::uint8_t* at, const reflection::Type& type) {
    const bool structs = type.element() == reflection::Obj && object_of(type).is_struct();
    auto size =
      structs ? static_cast<std::size_t>(object_of(type).bytesize()) : scalar_size(type.element());
    if (size == 0)
      size = sizeof(flatbuffers::uoffset_t);
    if (!verifier_->VerifyVectorOrString(at, size))
      return false;
    return list(elements_of(at), count_of(at), size, [&](const std::uint8_t* element) {
      if (structs)
        return structure(element, object_of(type));
      if (scalar_size(type.element()) != 0) {
        scalar(element, type.element(), type);
        return verifier_->VerifyAlignment(place_of(element), size);
      }
      const auto* target = follow(element);
      if (target == nullptr)
        return false;
      return type.element() == reflection::String ? string(target) : table(target, object_of(type));
    });
  }

  /// Elements of a vector or array, which must lie within the payload.
  template <class Print>
  [[nodiscard]] bool list(const std::uint8_t* element, std::uint32_t count, std::size_t size,
                          Print print_one) {
    ensure(size != 0, "elements have a size, or there is no end to them");
    text_ += '[';
    for (std::uint32_t i = 0; i < count; ++i, element += size) {
      if (i != 0)
        text_ += ',';
      if (is_too_large() || !print_one(element))
        return false;
    }
    text_ += ']';
    return true;
  }

  [[nodiscard]] bool string(const std::uint8_t* at) {
    const auto* text = reinterpret_cast<const flatbuffers::String*>(at);
    return !is_too_large() && verifier_->VerifyString(text)
           && flatbuffers::EscapeString(text->c_str(), text->size(), &text_, false, false);
  }

  [[nodiscard]] bool structure(const std::uint8_t* at, const reflection::Object& of) {
    return is_there(at, static_cast<std::size_t>(of.bytesize()),
                    static_cast<std::size_t>(of.minalign()))
           && structure_there(at, of, 0);
  }

  /// read_schema() saw that what is in a struct lies within it.
  [[nodiscard]] bool structure_there(const std::uint8_t* at, const reflection::Object& of,
                                     int depth) {
    constexpr int deepest = 64; // as deep as tables may be
    if (depth == deepest || is_too_large())
      return false;
    text_ += '{';
    bool first = true;
    for (const auto* field : in_order(of)) {
      begin_field(*field, first);
      const auto& type = *field->type();
      const auto held = held_type(type);
      const auto print_one = [&](const std::uint8_t* element) {
        if (held == reflection::Obj)
          return structure_there(element, object_of(type), depth + 1);
        scalar(element, held, type);
        return true;
      };
      ensure(field->offset() < static_cast<std::uint32_t>(of.bytesize()),
             "read_schema() saw that the field lies within its struct");
      const auto* place = at + field->offset();
      if (type.base_type() != reflection::Array ? !print_one(place)
                                                : !array(place, type, print_one))
        return false;
    }
    text_ += '}';
    return true;
  }

  template <class Print>
  [[nodiscard]] bool array(const std::uint8_t* at, const reflection::Type& type,
                           const Print& print_one) {
    const auto size = type.element() == reflection::Obj
                        ? static_cast<std::size_t>(object_of(type).bytesize())
                        : scalar_size(type.element());
    return list(at, type.fixed_length(), size, print_one);
  }

  void scalar_default(const reflection::Field& field) {
    const auto& type = *field.type();
    if (type.base_type() == reflection::Float)
      number(static_cast<float>(field.default_real()));
    else if (type.base_type() == reflection::Double)
      number(field.default_real());
    else
      integer(field.default_integer(), type.base_type(), type);
  }

  /// The bytes must be there.
  void scalar(const std::uint8_t* at, reflection::BaseType as, const reflection::Type& type) {
    switch (as) {
      case reflection::Float: return number(read<float>(at));
      case reflection::Double: return number(read<double>(at));
      case reflection::Byte: return integer(read<std::int8_t>(at), as, type);
      case reflection::Short: return integer(read<std::int16_t>(at), as, type);
      case reflection::UShort: return integer(read<std::uint16_t>(at), as, type);
      case reflection::Int: return integer(read<std::int32_t>(at), as, type);
      case reflection::UInt: return integer(read<std::uint32_t>(at), as, type);
      case reflection::Long:
      case reflection::ULong: return integer(read<std::int64_t>(at), as, type);
      default: return integer(*at, as, type); // bool, ubyte, and the type of a union
    }
  }

  template <class Number>
  [[nodiscard]] static Number read(const std::uint8_t* at) noexcept {
    Number value;
    std::memcpy(&value, at, sizeof value); // little endian, as this machine
    return value;
  }

  void integer(std::int64_t value, reflection::BaseType as, const reflection::Type& type) {
    const auto out = std::back_inserter(text_);
    if (type.index() >= 0)
      if (const auto* found = enumerator(enum_of(type), value)) {
        fmt::format_to(out, "\"{}\"", text_of(found->name()));
        return;
      }
    if (as == reflection::Bool)
      text_ += value != 0 ? "true" : "false";
    else if (as == reflection::ULong)
      fmt::format_to(out, "{}", static_cast<std::uint64_t>(value));
    else
      fmt::format_to(out, "{}", value);
  }

  template <class Number>
  void number(Number value) {
    if (std::isnan(value))
      text_ += "\"NaN\"";
    else if (std::isinf(value))
      text_ += value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    else
      fmt::format_to(std::back_inserter(text_), "{}", value);
  }

  [[nodiscard]] static const reflection::EnumVal* enumerator(const reflection::Enum& of,
                                                             std::int64_t value) noexcept {
    for (const auto* one : *of.values())
      if (one->value() == value)
        return one;
    return nullptr;
  }

  const reflection::Schema& schema_;
  const std::uint8_t* bytes_ = nullptr; ///< Of the payload in hand,
  std::size_t size_ = 0;
  std::optional<flatbuffers::Verifier> verifier_;
  std::string text_; ///< and its text.
  std::map<const reflection::Object*, fields> in_order_;
};

} // namespace

class payload_printer::implementation {
public:
  implementation(std::vector<std::byte> bfbs, std::string_view name)
      : bfbs_(std::move(bfbs)), schema_(read_schema(bfbs_)),
        table_(schema_ == nullptr ? nullptr : find_table(*schema_, name)) {
    if (schema_ != nullptr)
      printer_.emplace(*schema_);
  }

  [[nodiscard]] bool is_schema() const noexcept { return table_ != nullptr; }

  [[nodiscard]] printed print(std::span<const std::byte> payload) {
    ensure(is_schema(), "a payload is printed by a schema that has its table");
    if (printer_->print(*table_, payload))
      return printer_->is_too_large() ? printed::too_large : printed::whole;
    return printer_->is_too_large() ? printed::too_large : printed::malformed;
  }
  [[nodiscard]] const std::string& text() const noexcept { return printer_->text(); }

private:
  std::vector<std::byte> bfbs_;
  const reflection::Schema* schema_;
  const reflection::Object* table_;
  std::optional<json_printer> printer_;
};

payload_printer::payload_printer(std::unique_ptr<implementation> made) noexcept
    : implementation_(std::move(made)) {}
payload_printer::payload_printer(payload_printer&&) noexcept = default;
payload_printer& payload_printer::operator=(payload_printer&&) noexcept = default;
payload_printer::~payload_printer() = default;

std::optional<payload_printer> payload_printer::of(std::vector<std::byte> bfbs,
                                                   std::string_view table) {
  auto made = std::make_unique<implementation>(std::move(bfbs), table);
  if (!made->is_schema())
    return std::nullopt;
  return payload_printer(std::move(made));
}

printed payload_printer::print(std::span<const std::byte> payload) {
  return implementation_->print(payload);
}

const std::string& payload_printer::text() const noexcept {
  return implementation_->text();
}

} // namespace acta::inline base
