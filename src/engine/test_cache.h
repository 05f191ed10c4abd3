// A fixture: one cache, open in a directory of its own, on a clock that stands still. What it is opened with each test
// file says itself.
#pragma once

#include <gtest/gtest.h>
#include <larder/cache.h>

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "engine/test_directory.h"

namespace larder::engine {

class OneCacheTest : public ::testing::Test {
 protected:
  explicit OneCacheTest(const Options& options) : options_(options) { options_.clock = &clock_; }

  void SetUp() override { open(); }
  // Closed, and open again.
  void open() {
    cache_.reset();
    cache_.emplace(open_another().value());
  }
  Result<Cache> open_another() { return Cache::open(directory_.path(), options_); }
  std::vector<std::string> faults() { return cache_->check().value().findings; }

  TestDirectory directory_;
  ManualClock clock_;
  Options options_;
  std::optional<Cache> cache_;
};

}  // namespace larder::engine
