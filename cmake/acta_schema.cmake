# Run by acta_add_schema(): flatc's C++ header of SCHEMA, and behind it, for each of its tables, the binary
# form of SCHEMA, which schema_of<Table> leads to. HEADER.d lists what SCHEMA includes. NAME is an
# identifier of its own for each.
cmake_path(GET HEADER PARENT_PATH folder)
cmake_path(GET SCHEMA STEM name)
foreach(arguments "--cpp;--gen-name-strings;--scoped-enums" "-b;--schema")
  execute_process(COMMAND ${FLATC} ${arguments} -o ${folder} ${SCHEMA} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
execute_process(COMMAND ${FLATC} -M --cpp -o ${folder} ${SCHEMA} OUTPUT_FILE ${HEADER}.d
  COMMAND_ERROR_IS_FATAL ANY)

file(READ ${folder}/${name}.bfbs bytes HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
# The tables of SCHEMA itself and not of what it includes: those that the header defines.
file(STRINGS ${HEADER} names REGEX "^ +return \"[A-Za-z_].*\";$")
set(tables "")
foreach(line IN LISTS names)
  string(REGEX REPLACE "^ +return \"(.*)\";$" "\\1" table "${line}")
  string(REPLACE "." "::" table "${table}")
  string(APPEND tables "template <>\ninline constexpr std::span<const std::uint8_t> "
    "acta::base::schema_of<${table}> = acta::schemas::${NAME};\n")
endforeach()
file(APPEND ${HEADER} "
// Added by acta_add_schema().
#ifndef ACTA_SCHEMA_${NAME}
#define ACTA_SCHEMA_${NAME}
#include <acta/base/schema.hpp>
namespace acta::schemas {
alignas(8) inline constexpr std::uint8_t ${NAME}[] = {
${bytes}};
} // namespace acta::schemas
${tables}#endif
")
