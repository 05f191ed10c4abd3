// Power loss (see test_disk.h): again and again it goes, and what is found must be what was promised: no value that was
// not written under its key, nothing older than the last flush, and nothing missing that was there before it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <larder/cache.h>

#include <algorithm>
#include <map>
#include <random>
#include <thread>

#include "base/clock.h"
#include "engine/steps.h"
#include "engine/test_directory.h"
#include "engine/test_disk.h"

namespace larder {
namespace {

using engine::Disk;
using engine::number_in;
using engine::value_of;
using ::testing::IsEmpty;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int kRounds = 3;
#else
constexpr int kRounds = 6;
#endif

struct Shape {
  const char* name;
  Durability durability;
  bool evicts;
  int keys;
  std::size_t value_most;
  int calls;       // between two losses of power
  int flush_each;  // about so many calls
  std::uint32_t shards = 1;
};

class PowerTest : public ::testing::TestWithParam<std::tuple<Shape, int>> {
 protected:
  // A key's values in the order in which they were set; 0: it was deleted. Which of them a flush has covered.
  struct Past {
    std::vector<std::uint64_t> numbers{0};
    std::size_t sure = 0;
    bool here = false;      // when the power went
    bool may_miss = false;  // a tag of one of them was evicted
  };

  const Shape& shape() const { return std::get<0>(GetParam()); }
  std::uint64_t pick(std::uint64_t below) { return random_() % below; }
  std::string some_key() {
    return "key " + std::to_string(pick(3) == 0 ? pick(10) : pick(static_cast<std::uint64_t>(shape().keys)));
  }
  void open() {
    cache_.emplace(Cache::open(directory_.path(), {.size_limit_bytes = 16 << 20,
                                                   .shards = shape().shards,
                                                   .durability = shape().durability,
                                                   .flush_every_ms = 3'600'000,
                                                   .clock = &clock_})
                       .value());
  }
  // All that was answered so far is on the disk.
  void flushed() {
    for (auto& [key, past] : pasts_) {
      past.sure = past.numbers.size() - 1;
      past.may_miss = false;
    }
  }
  // Of the value with this number; empty: it has none.
  static std::string tag_of(std::uint64_t number) {
    return number % 3 == 0 ? "tag " + std::to_string(number / 3 % 10) : "";
  }
  void evict_a_tag() {
    const std::string tag = "tag " + std::to_string(pick(10));
    cache_->evict({.prefix = "", .pattern = "", .tag = tag}).value();
    for (auto& [key, past] : pasts_) {
      for (std::size_t i = past.sure; i < past.numbers.size(); ++i) {
        past.may_miss = past.may_miss || (past.numbers[i] != 0 && tag_of(past.numbers[i]) == tag);
      }
      if (past.numbers.back() != 0 && tag_of(past.numbers.back()) == tag) past.numbers.push_back(0);
      if (shape().durability == Durability::kEach && disk_.on()) past.sure = past.numbers.size() - 1;
    }
  }
  void clear() {
    cache_->clear().value();
    for (auto& [key, past] : pasts_) past.numbers.push_back(0);
    if (disk_.on()) flushed();
  }
  void flush() {
    cache_->flush().value();
    if (disk_.on()) flushed();
  }
  void one_call() {
    const std::string key = some_key();
    Past& past = pasts_[key];
    switch (pick(10)) {
      case 0:
        cache_->del(key).value();
        past.numbers.push_back(0);
        break;
      case 1: {
        const std::optional<Entry> taken = cache_->pop(key).value();
        if (taken || !shape().evicts) {
          ASSERT_EQ(taken ? number_in(key, taken->value) : 0, past.numbers.back()) << key;
        }
        past.numbers.push_back(0);
        break;
      }
      case 2: {
        std::string value;
        const std::uint64_t now = cache_->get(key, value) ? number_in(key, value) : 0;
        if (now != 0 || !shape().evicts) {
          ASSERT_EQ(now, past.numbers.back()) << key;
        }
        break;
      }
      case 3:
        // Lives on; the word in place or the record again.
        cache_->touch(key, 1'000'000'000).value();
        break;
      default: {
        const std::string value = value_of(key, ++last_, pick(shape().value_most));
        SetOptions options{.ttl_ms = pick(2) == 0 ? 1'000'000'000 : 0, .pinned = pick(20) == 0};
        const std::string tag = tag_of(last_);
        if (!tag.empty()) options.tags.push_back(tag);
        cache_->set(key, value, options).value();
        past.numbers.push_back(last_);
      }
    }
    if (shape().durability == Durability::kEach && disk_.on()) past.sure = past.numbers.size() - 1;
  }
  void lose_power() {
    for (auto& [key, past] : pasts_) past.here = cache_->peek(key).has_value();
    disk_.cut_off();
    cache_.reset();
    disk_.restart();
    clock_.advance_ms(1 + static_cast<std::int64_t>(pick(100)));
    open();
  }
  void compare() {
    for (auto& [key, past] : pasts_) {
      std::string value;
      const bool hit = cache_->get(key, value);
      const std::uint64_t now = hit ? number_in(key, value) : 0;
      ASSERT_TRUE(!hit || now != 0) << key << ": torn or foreign: " << value.substr(0, 60);
      const std::size_t from = shape().durability == Durability::kNone ? 0 : past.sure;
      std::string possible;
      bool right = false;
      for (std::size_t i = from; i < past.numbers.size(); ++i) {
        right = right || past.numbers[i] == now;
        possible += " " + std::to_string(past.numbers[i]);
      }
      // What makes room may take anything, but not what was still here and on the disk.
      const bool may_miss = shape().durability == Durability::kNone || past.may_miss ||
                            (shape().evicts && !(past.here && past.sure + 1 == past.numbers.size()));
      ASSERT_TRUE(right || (now == 0 && may_miss)) << key << ": is " << now << ", can be" << possible;
      if (shape().durability == Durability::kNone) {
        past.numbers.push_back(now);
      } else {
        past = {{now}, 0, false, false};
      }
    }
    ASSERT_THAT(cache_->check().value().findings, IsEmpty());
  }

  engine::TestDirectory directory_;
  ManualClock clock_;
  std::mt19937_64 random_{static_cast<std::uint64_t>(std::get<1>(GetParam()))};
  Disk disk_{directory_.path(), random_()};
  std::map<std::string, Past> pasts_;
  std::uint64_t last_ = 0;
  std::optional<Cache> cache_;
};

TEST_P(PowerTest, KeepsWhatWasPromised) {
  open();
  for (int round = 0; round < kRounds && !HasFatalFailure(); ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    if (pick(2) == 0)
      disk_.cut_off_after(1 + static_cast<int>(pick(shape().durability == Durability::kEach ? 100 : 12)));
    for (int i = 0; i < shape().calls && disk_.on() && !HasFatalFailure(); ++i) {
      one_call();
      if (pick(static_cast<std::uint64_t>(shape().flush_each)) == 0) flush();
      if (pick(2000) == 0) clear();
      if (pick(400) == 0) evict_a_tag();
      if (pick(static_cast<std::uint64_t>(shape().flush_each)) == 0) disk_.write_some_back();
    }
    if (HasFatalFailure()) break;
    if (pick(4) == 0) {  // closed, and opened again before the power goes, or not
      cache_.reset();
      if (shape().durability != Durability::kNone && disk_.on()) flushed();
      open();
      for (std::uint64_t i = pick(3) * 20; i > 0; --i) one_call();
    }
    lose_power();
    compare();
  }
}

constexpr Shape kShapes[] = {
    {"timed", Durability::kTimed, false, 300, 20'000, 1500, 150},
    {"timed_evicting", Durability::kTimed, true, 3000, 20'000, 2500, 200},
    {"timed_small", Durability::kTimed, false, 3000, 60, 1500, 150, 2},
    {"each", Durability::kEach, false, 200, 40'000, 150, 100},
    {"none", Durability::kNone, true, 1000, 20'000, 2500, 300},
};
INSTANTIATE_TEST_SUITE_P(Random, PowerTest, ::testing::Combine(::testing::ValuesIn(kShapes), ::testing::Values(17, 38)),
                         [](const auto& made) {
                           return std::string(std::get<0>(made.param).name) + "_" +
                                  std::to_string(std::get<1>(made.param));
                         });

// --- The worst moments -----------------------------------------------------------------------------------------------

// The power goes when a segment was just given up, and of all that is not on the disk yet only that gets there:
// whatever had to be there before it is missed now. No flush runs but those that writers wait for.
class WorstMomentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    now = this;
    open();
    disk_.hold_other_threads();
  }
  void TearDown() override { engine::step_hook.store(nullptr); }
  void open() {
    cache_.emplace(Cache::open(directory_.path(), {.size_limit_bytes = 16 << 20,
                                                   .durability = Durability::kTimed,
                                                   .flush_every_ms = 3'600'000,
                                                   .clock = &clock_})
                       .value());
  }
  static std::string key(int i) { return "key " + std::to_string(i); }
  void set(const std::string& key, std::size_t size = kLarge) {
    cache_->set(key, value_of(key, ++last_, size)).value();
  }
  std::uint64_t get(const std::string& key) {
    std::string value;
    return cache_->get(key, value) ? number_in(key, value) : 0;
  }
  // Sets `key(i)` for i from `from` on, until the `nth` segment is given up.
  void set_until_given_up(int nth, int from) {
    left_ = nth;
    engine::step_hook.store([](engine::Step step) { now->stepped(step); });
    for (int i = from; disk_.on(); ++i) {
      ASSERT_LT(i, from + 1000);
      set(key(i));
    }
    engine::step_hook.store(nullptr);
    cache_.reset();
    disk_.restart();
    open();
  }

  engine::TestDirectory directory_;
  ManualClock clock_;
  Disk disk_{directory_.path(), 1};
  std::optional<Cache> cache_;
  static constexpr std::uint64_t kSegment = std::uint64_t{1} << engine::Geometry::default_segment_shift(16 << 20, 1);
  static constexpr std::size_t kLarge = 60'000;
  static constexpr int kFills = static_cast<int>(kSegment / kLarge);  // so many fill a segment

 private:
  void stepped(engine::Step step) {
    if (step != engine::Step::kVictimDraining || --left_ > 0) return;
    disk_.cut_off([&](const std::string& name, off_t at) {
      return name == "log" && static_cast<std::uint64_t>(at) % kSegment == 0 &&
             engine::read_bytes(directory_.path() / "log", static_cast<std::uint64_t>(at), 4) == std::string(4, '\0');
    });
  }

  inline static WorstMomentTest* now = nullptr;
  int left_ = 0;
  std::uint64_t last_ = 0;
};

TEST_F(WorstMomentTest, ASegmentWaitsForWhatReplacedItsRecords) {
  for (int i = 0; i < kFills; ++i) set(key(i));
  cache_->flush().value();
  for (int i = 0; i < kFills; ++i) set(key(i));
  set_until_given_up(1, kFills);
  for (int i = 0; i < kFills; ++i) EXPECT_GT(get(key(i)), 0u) << i;
}

TEST_F(WorstMomentTest, WhatWasDeletedStaysAwayAsLongAsItsSegmentMayBeThere) {
  // Tombstones beside which nothing lives, of records beside which nothing lives.
  for (int i = 0; i <= kFills; ++i) set(key(i));
  for (int i = 0; i < kFills / 3; ++i) cache_->del(key(i)).value();
  for (int i = 0; i < kFills; ++i) set("another " + std::to_string(i));
  for (int i = kFills / 3; i <= kFills; ++i) set(key(i), 100);
  for (int i = 0; i < kFills; ++i) set("another " + std::to_string(i), 100);
  cache_->flush().value();
  set_until_given_up(2, kFills + 1);
  for (int i = 0; i < kFills / 3; ++i) EXPECT_EQ(get(key(i)), 0u) << i;
}

}  // namespace
}  // namespace larder
