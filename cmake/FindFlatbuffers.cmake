# flatbuffers::flatbuffers (headers; the verifier and builder need no library) and flatbuffers::flatc
# (Debian: libflatbuffers-dev, flatbuffers-compiler). flatbuffers::parser, the library, is for tests.
find_path(FLATBUFFERS_INCLUDE_DIR flatbuffers/flatbuffers.h)
find_program(FLATBUFFERS_FLATC flatc)
find_library(FLATBUFFERS_LIBRARY flatbuffers)
if(FLATBUFFERS_INCLUDE_DIR)
  file(STRINGS "${FLATBUFFERS_INCLUDE_DIR}/flatbuffers/base.h" lines
    REGEX "#define FLATBUFFERS_VERSION_(MAJOR|MINOR|REVISION) ")
  string(REGEX MATCHALL "[0-9]+" numbers "${lines}")
  list(JOIN numbers "." Flatbuffers_VERSION)
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Flatbuffers
  REQUIRED_VARS FLATBUFFERS_INCLUDE_DIR FLATBUFFERS_FLATC VERSION_VAR Flatbuffers_VERSION)
mark_as_advanced(FLATBUFFERS_INCLUDE_DIR FLATBUFFERS_FLATC FLATBUFFERS_LIBRARY)
if(Flatbuffers_FOUND AND NOT TARGET flatbuffers::headers)
  add_library(flatbuffers::headers INTERFACE IMPORTED GLOBAL)
  target_include_directories(flatbuffers::headers SYSTEM INTERFACE "${FLATBUFFERS_INCLUDE_DIR}")
  add_library(flatbuffers::parser INTERFACE IMPORTED GLOBAL)
  target_link_libraries(flatbuffers::parser INTERFACE flatbuffers::headers "${FLATBUFFERS_LIBRARY}")
  add_executable(flatbuffers::flatc IMPORTED GLOBAL)
  set_target_properties(flatbuffers::flatc PROPERTIES IMPORTED_LOCATION "${FLATBUFFERS_FLATC}")
endif()
