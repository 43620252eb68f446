#pragma once

#include <flatbuffers/idl.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// FlatBuffers schemas and payloads from text, by FlatBuffers' own parser.
namespace acta::tests {

[[nodiscard]] inline std::vector<std::byte> copied(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  return {bytes.begin(), bytes.end()};
}

/// With all that C++ can have, unions of strings and structs among it.
[[nodiscard]] inline flatbuffers::IDLOptions as_for_cpp() {
  flatbuffers::IDLOptions options;
  options.lang_to_generate = flatbuffers::IDLOptions::kCpp;
  return options;
}

/// A schema in flatc's binary form.
[[nodiscard]] inline std::vector<std::byte> binary_schema(const std::string& fbs) {
  flatbuffers::Parser parser(as_for_cpp());
  EXPECT_TRUE(parser.Parse(fbs.c_str())) << parser.error_;
  parser.Serialize();
  return copied(parser.builder_.GetBufferPointer(), parser.builder_.GetSize());
}

/// A finished FlatBuffer of `table`, from JSON.
[[nodiscard]] inline std::vector<std::byte>
payload(const std::string& fbs, const std::string& table, const std::string& json) {
  flatbuffers::Parser parser(as_for_cpp());
  EXPECT_TRUE(parser.Parse(fbs.c_str())) << parser.error_;
  EXPECT_TRUE(parser.SetRootType(table.c_str())) << table;
  EXPECT_TRUE(parser.Parse(json.c_str())) << parser.error_;
  return copied(parser.builder_.GetBufferPointer(), parser.builder_.GetSize());
}

/// What `flatc --conform` says of a newer schema; empty if it is content.
[[nodiscard]] inline std::string conform(const std::string& older, const std::string& newer) {
  flatbuffers::Parser base;
  flatbuffers::Parser next;
  EXPECT_TRUE(base.Parse(older.c_str())) << base.error_;
  EXPECT_TRUE(next.Parse(newer.c_str())) << next.error_;
  return next.ConformTo(base);
}

} // namespace acta::tests
