#include "base/error_table.h"

#include <gtest/gtest.h>

#include <set>

namespace larder {
namespace {

TEST(ErrorTable, IsIndexedByItsCode) {
  for (const ErrorRow& row : kErrorTable) EXPECT_EQ(&error_row(row.code), &row) << row.name;
}

TEST(ErrorTable, GivesEachCodeANameOfItsOwn) {
  std::set<std::string_view> names;
  for (const ErrorRow& row : kErrorTable) EXPECT_TRUE(names.insert(row.name).second) << row.name;
}

TEST(ErrorTable, NeverCallsAFailureSuccess) {
  for (const ErrorRow& row : kErrorTable) {
    EXPECT_GE(row.http_status, 400) << row.name;
    EXPECT_NE(row.exit_code, 0) << row.name;
  }
}

}  // namespace
}  // namespace larder
