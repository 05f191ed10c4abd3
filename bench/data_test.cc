// A benchmark whose data is wrong measures something else, and nobody notices.
#include "data.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <set>

#include "workload.h"

namespace bench {
namespace {

Workload workload(Distribution distribution) {
  Workload made;
  made.keys = 10'000;
  made.key_bytes = 20;
  made.value_bytes = 100;
  made.distribution = distribution;
  return made;
}

TEST(Data, KeysAreDistinctAndOfOneLength) {
  std::set<std::string> keys;
  for (const Op& op : make_ops(workload(Distribution::kOnce), 1)) {
    ASSERT_EQ(op.key(20).size(), 20);
    ASSERT_TRUE(keys.emplace(op.key(20)).second);
  }
  for (const Op& op : make_ops(workload(Distribution::kAbsent), 1))
    ASSERT_FALSE(keys.contains(std::string(op.key(20))));
  for (const Op& op : make_ops(workload(Distribution::kUniform), 1))
    ASSERT_TRUE(keys.contains(std::string(op.key(20))));
}

TEST(Data, AWrongValueIsFoundOut) {
  Values values(100);
  const std::string right(values.of(7));
  EXPECT_TRUE(values.right(7, right, true));
  EXPECT_FALSE(values.right(8, right, false));
  EXPECT_FALSE(values.right(7, std::string_view(right).substr(1), false));
  EXPECT_FALSE(values.right(7, right.substr(0, 99), false));
  std::string changed = right;
  changed.back() ^= 1;
  EXPECT_FALSE(values.right(7, changed, true));
}

TEST(Data, ZipfAsksTheFirstRanksAsOftenAsItShould) {
  const std::uint64_t n = 10'000;
  const Zipf zipf(n, 0.99);
  double zeta = 0;
  for (std::uint64_t rank = 1; rank <= n; ++rank) zeta += 1 / std::pow(static_cast<double>(rank), 0.99);
  std::mt19937_64 chance(1);
  std::uniform_real_distribution<double> uniform(0, 1);
  const int draws = 200'000;
  std::vector<int> seen(n);
  for (int draw = 0; draw < draws; ++draw) ++seen.at(zipf.rank(uniform(chance)));
  for (const std::size_t rank : {0U, 1U, 9U}) {
    const double due = draws / std::pow(static_cast<double>(rank + 1), 0.99) / zeta;
    EXPECT_NEAR(seen[rank], due, 0.15 * due) << rank;
  }
}

TEST(Data, AMixHasItsShareOfSets) {
  Workload mixed = workload(Distribution::kZipf);
  mixed.skew = 0.99;
  mixed.set_percent = 10;
  int sets = 0;
  for (const Op& op : make_ops(mixed, 1)) sets += op.write != 0 ? 1 : 0;
  EXPECT_NEAR(sets, 1000, 150);
}

}  // namespace
}  // namespace bench
