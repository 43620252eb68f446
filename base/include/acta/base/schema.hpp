#pragma once

#include <cstdint>
#include <span>

namespace acta::inline base {

/// The FlatBuffers schema a table comes from, in flatc's binary form, 8-byte aligned: an engine
/// stores it with the events, so that tools can read them and a program that would misread them is
/// refused. acta_add_schema() in CMake sets it. Empty for headers that were made by flatc alone.
template <class Table>
inline constexpr std::span<const std::uint8_t> schema_of{};

} // namespace acta::inline base
