# Every library Acta uses, as a target. All come from Debian's packages: see ./dev setup.

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(LMDB REQUIRED)
find_package(CAF REQUIRED)
find_package(Flatbuffers REQUIRED)
find_package(xxHash REQUIRED)
find_package(robin_map REQUIRED)
find_package(SQLite3 REQUIRED) # by CMake's own module
