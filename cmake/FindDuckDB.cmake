# DuckDB::DuckDB, the engine's shared library with its C header.
#
# A DuckDB installed on the machine is taken first (set DuckDB_ROOT for one elsewhere). Else the one that
# `./dev setup` brings by npm: the library of @duckdb/node-bindings-linux-x64, the header of the package duckdb.
set(duckdb_npm ${PROJECT_SOURCE_DIR}/node_modules)
find_library(DuckDB_LIBRARY duckdb HINTS ${duckdb_npm}/@duckdb/node-bindings-linux-x64)
find_path(DuckDB_INCLUDE_DIR duckdb.h HINTS ${duckdb_npm}/duckdb/src/duckdb/src/include)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(DuckDB
  REQUIRED_VARS DuckDB_LIBRARY DuckDB_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "run ./dev setup, or set DuckDB_ROOT to where libduckdb.so and duckdb.h are")
if(DuckDB_FOUND AND NOT TARGET DuckDB::DuckDB)
  # The npm header lies among DuckDB's C++ headers; only duckdb.h may be seen, so it is linked into a folder alone.
  set(duckdb_include ${PROJECT_BINARY_DIR}/duckdb_include)
  file(MAKE_DIRECTORY ${duckdb_include})
  file(CREATE_LINK ${DuckDB_INCLUDE_DIR}/duckdb.h ${duckdb_include}/duckdb.h SYMBOLIC)
  add_library(DuckDB::DuckDB SHARED IMPORTED)
  set_target_properties(DuckDB::DuckDB PROPERTIES
    IMPORTED_LOCATION ${DuckDB_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${duckdb_include})
endif()
