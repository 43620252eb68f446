#pragma once

#include <acta/base/error.hpp>
#include <acta/storage/event_log.hpp>

#include <span>

namespace acta::storage {

/// Stores the schemas a program has for its event types: all of them, or none on an error. Each is
/// first compared with the one its type has in the store, together with all tables, structs, enums
/// and unions that the type's table leads to:
///
/// - The same, or more (fields added at the end, enumerators, union members, a field deprecated or
///   no longer required, names changed): it takes the stored one's place.
/// - Less, as an older program has: compatible, and the stored one stays.
/// - Anything that would read stored events otherwise than they were meant (a field of another
///   type, id or default, one newly required, an enumerator of another value, a struct laid out
///   anew), or that has both more and less: errc::incompatible_schema names event type, table,
///   field, the difference, and what to do.
///
/// Each type must be registered with the log. Other errors: errc::invalid_argument for bytes that
/// are no schema with the type's table in it; corrupt for such in the store; those of the log.
/// Writes only where something changes. One thread at a time, as event_log::put_schemas().
[[nodiscard]] result<void> register_schemas(event_log& log, std::span<const event_schema> schemas);

} // namespace acta::storage
