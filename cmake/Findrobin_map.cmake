# tsl::robin_map (Debian: robin-map-dev), header only.
find_path(ROBIN_MAP_INCLUDE_DIR tsl/robin_map.h)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(robin_map REQUIRED_VARS ROBIN_MAP_INCLUDE_DIR)
mark_as_advanced(ROBIN_MAP_INCLUDE_DIR)
if(robin_map_FOUND AND NOT TARGET tsl::robin_map)
  add_library(tsl::robin_map INTERFACE IMPORTED)
  target_include_directories(tsl::robin_map SYSTEM INTERFACE "${ROBIN_MAP_INCLUDE_DIR}")
endif()
