# tcmalloc::minimal (Debian: libgoogle-perftools-dev). Executables link it; the libraries do not.
find_library(TCMALLOC_LIBRARY tcmalloc_minimal)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(tcmalloc REQUIRED_VARS TCMALLOC_LIBRARY)
mark_as_advanced(TCMALLOC_LIBRARY)
if(tcmalloc_FOUND AND NOT TARGET tcmalloc::minimal)
  add_library(tcmalloc::minimal UNKNOWN IMPORTED)
  set_target_properties(tcmalloc::minimal PROPERTIES IMPORTED_LOCATION "${TCMALLOC_LIBRARY}")
endif()
