// The slow twin: long runs of random calls on a cache and on a std::map, which must agree.
//
// Where nothing is evicted they must agree exactly. Where the limit makes room the cache may miss, but what it answers
// must be what the twin has: never an older value, never one that was deleted or expired.
#include <fnmatch.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <larder/cache.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <random>

#include "base/clock.h"
#include "engine/test_directory.h"
#include "engine/test_files.h"

namespace larder {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int kRounds = 10;
#else
constexpr int kRounds = 40;
#endif

struct Shape {
  const char* name;
  bool evicts;  // the limit is reached
  int keys;
  int value_most;
  std::uint64_t size_limit;
  std::uint32_t shards;
};

class TwinTest : public ::testing::TestWithParam<std::tuple<Shape, int>> {
 protected:
  struct Entry {
    std::string value;
    std::int64_t expires_ms = 0;
    std::string tag;
    bool pinned = false;
  };

  void open() {
    cache_.reset();
    cache_.emplace(Cache::open(directory_.path(), {.size_limit_bytes = shape().size_limit,
                                                   .shards = shape().shards,
                                                   .durability = Durability::kNone,
                                                   .clock = &clock_})
                       .value());
  }
  const Shape& shape() const { return std::get<0>(GetParam()); }
  int pick(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }
  std::string some_key() {
    // A few keys are popular.
    const int number = pick(4) == 0 ? pick(8) : pick(shape().keys);
    return "key " + std::to_string(number) + std::string(static_cast<std::size_t>(number % 40), '.');
  }
  std::string some_value() {
    const int size = pick(20) == 0 ? pick(shape().value_most) : pick(200);
    std::string value(static_cast<std::size_t>(size), '\0');
    for (char& c : value) c = static_cast<char>(random_());
    return value;
  }
  std::int64_t some_ttl() { return pick(3) == 0 ? 1 + pick(5000) : 0; }

  // The twin's entry when it lives.
  Entry* twin(const std::string& key) {
    const auto at = twin_.find(key);
    if (at == twin_.end()) return nullptr;
    if (at->second.expires_ms != 0 && at->second.expires_ms <= clock_.now_ms()) {
      twin_.erase(at);
      return nullptr;
    }
    return &at->second;
  }
  std::int64_t expiry(std::int64_t ttl_ms) { return ttl_ms == 0 ? 0 : clock_.now_ms() + ttl_ms; }

  void compare(const std::string& key) {
    const Entry* expected = twin(key);
    std::string value;
    const bool hit = cache_->get(key, value);
    const bool may_be_evicted = shape().evicts && !(expected != nullptr && expected->pinned);
    ASSERT_TRUE(hit || expected == nullptr || may_be_evicted) << key << ": lost";
    ASSERT_TRUE(!hit || expected != nullptr) << key << ": came back";
    if (!hit) return;
    ASSERT_EQ(value, expected->value) << key;
    // Another reader may make room no more than we do: nobody writes between these two.
    const std::optional<Pin> pin = cache_->get(key);
    ASSERT_TRUE(pin) << key;
    ASSERT_EQ(pin->bytes(), value);
    ASSERT_EQ(pin->info().expires_ms, expected->expires_ms);
    ASSERT_EQ(pin->info().pinned, expected->pinned);
    ASSERT_EQ(pin->tags(), expected->tag.empty() ? std::vector<std::string>{} : std::vector{expected->tag});
  }

  // Few and small, so that they do not fill the cache.
  bool may_pin(const std::string& key, const std::string& value) { return key.size() < 12 && value.size() < 100; }
  std::string some_tag() { return "tag " + std::to_string(pick(5)); }

  void set_with_extras(const std::string& key) {
    Entry entry{some_value(), expiry(some_ttl()), pick(2) == 0 ? some_tag() : "", false};
    entry.pinned = pick(2) == 0 && may_pin(key, entry.value);
    SetOptions options{.ttl_ms = entry.expires_ms == 0 ? 0 : entry.expires_ms - clock_.now_ms()};
    if (!entry.tag.empty()) options.tags = {entry.tag};
    options.cost = static_cast<std::uint64_t>(pick(1000));
    options.format = static_cast<std::uint8_t>(pick(16));
    options.pinned = entry.pinned;
    options.keeps_place = pick(2) == 0;
    const Entry* before = twin(key);
    const std::optional<EntryInfo> info = cache_->info(key);
    bool written = true;
    switch (pick(4)) {
      case 0:
        cache_->set(key, entry.value, options).value();
        break;
      case 1:
        written = cache_->replace(key, entry.value, options).value();
        ASSERT_TRUE(written == (before != nullptr) || shape().evicts);
        ASSERT_TRUE(!written || before != nullptr);
        break;
      case 2:
        ASSERT_FALSE(cache_->compare_and_set(key, (info ? info->sequence : 0) + 1, entry.value, options).value());
        written = cache_->compare_and_set(key, info ? info->sequence : 0, entry.value, options).value();
        ASSERT_TRUE(written || shape().evicts);
        break;
      default:
        cache_->set_many(std::vector<KeyValue>{{key, entry.value}}, options).value();
    }
    if (!written) return;
    twin_[key] = entry;
    const std::optional<EntryInfo> after = cache_->info(key);
    ASSERT_TRUE(after || (shape().evicts && !entry.pinned));
    if (!after) return;
    ASSERT_EQ(after->cost, options.cost);
    ASSERT_EQ(after->format, options.format);
    // Making room may take the old one on the way.
    if (!options.keeps_place || !info) {
      ASSERT_EQ(after->place, after->sequence);
    } else {
      ASSERT_TRUE(after->place == info->place || shape().evicts);
    }
  }

  void take(const std::string& key) {
    const std::optional<larder::Entry> taken = cache_->pop(key).value();
    const Entry* expected = twin(key);
    ASSERT_TRUE(taken || expected == nullptr || shape().evicts) << key << ": lost";
    ASSERT_TRUE(!taken || expected != nullptr) << key << ": came back";
    if (taken) {
      ASSERT_EQ(taken->value, expected->value);
      ASSERT_EQ(taken->info.expires_ms, expected->expires_ms);
    }
    twin_.erase(key);
  }

  void evict_some() {
    Filter filter;
    if (pick(2) == 0) filter.tag = some_tag();
    if (pick(3) == 0) filter.prefix = "key " + std::to_string(1 + pick(99));
    if (filter.any() || pick(4) == 0) filter.pattern = "key ?" + std::to_string(pick(10)) + "*[!.]";
    const std::uint64_t went = cache_->evict(filter).value();
    std::uint64_t expected = 0;
    for (auto at = twin_.begin(); at != twin_.end();) {
      const bool named = at->first.substr(0, filter.prefix.size()) == filter.prefix &&
                         (filter.tag.empty() || at->second.tag == filter.tag) &&
                         (filter.pattern.empty() || ::fnmatch(filter.pattern.c_str(), at->first.c_str(), 0) == 0);
      const bool lives = at->second.expires_ms == 0 || at->second.expires_ms > clock_.now_ms();
      expected += named && lives ? 1 : 0;
      at = named ? twin_.erase(at) : std::next(at);
    }
    ASSERT_TRUE(went == expected || (shape().evicts && went < expected)) << went << " of " << expected;
  }

  void one_call() {
    const std::string key = some_key();
    switch (pick(16)) {
      case 0:
      case 1:
      case 2: {
        const Entry entry{some_value(), expiry(some_ttl())};
        cache_->set(key, entry.value, {.ttl_ms = entry.expires_ms == 0 ? 0 : entry.expires_ms - clock_.now_ms()})
            .value();
        twin_[key] = entry;
        break;
      }
      case 3: {
        const std::string value = some_value();
        const bool added = cache_->add(key, value).value();
        if (!shape().evicts) {
          ASSERT_EQ(added, twin(key) == nullptr);
        }
        if (added) twin_[key] = {value, 0};
        break;
      }
      case 4: {
        const bool deleted = cache_->del(key).value();
        if (!shape().evicts) {
          ASSERT_EQ(deleted, twin(key) != nullptr);
        }
        ASSERT_TRUE(!deleted || twin(key) != nullptr);
        twin_.erase(key);
        break;
      }
      case 5: {
        const std::int64_t ttl_ms = some_ttl();
        const bool touched = cache_->touch(key, ttl_ms).value();
        Entry* expected = twin(key);
        if (!shape().evicts) {
          ASSERT_EQ(touched, expected != nullptr);
        }
        if (touched) {
          ASSERT_NE(expected, nullptr);
          expected->expires_ms = expiry(ttl_ms);
        }
        break;
      }
      case 8:
        set_with_extras(key);
        break;
      case 9:
        if (pick(3) == 0) take(key);
        break;
      case 6: {
        const std::string counter = "counter " + std::to_string(pick(10));
        const int delta = pick(100) - 50;
        const std::int64_t sum = cache_->incr(counter, delta).value();
        const Entry* expected = twin(counter);
        const std::int64_t before = expected == nullptr ? 0 : std::stoll(expected->value);
        ASSERT_TRUE(sum == before + delta || (shape().evicts && sum == delta)) << counter;
        twin_[counter] = {std::to_string(sum), 0};
        break;
      }
      case 7:
        clock_.advance_ms(pick(20));
        break;
      default:
        compare(key);
    }
  }

  void rare_call() {
    switch (pick(8)) {
      case 0:
        open();
        break;
      case 1:
        cache_.reset();
        engine::lose_power(directory_.path());
        open();
        break;
      case 2:
        if (pick(4) == 0) {
          cache_->clear().value();
          twin_.clear();
        }
        break;
      case 3:
        cache_->flush().value();
        break;
      case 4:
        evict_some();
        break;
      case 5:
        cache_->cull().value();
        break;
      case 6:
        cache_->change({.size_limit_bytes = shape().size_limit * static_cast<std::uint64_t>(1 + pick(2))}).value();
        break;
      default:
        compare_all();
    }
    ASSERT_THAT(cache_->check().value().findings, ::testing::IsEmpty());
  }

  void compare_all() {
    std::map<std::string, std::uint64_t> listed;
    std::uint64_t after = 0;
    for (;;) {
      const std::vector<Item> page = cache_->list(after, 1 + static_cast<std::size_t>(pick(1000)));
      if (page.empty()) break;
      for (const Item& item : page) {
        ASSERT_TRUE(listed.emplace(item.key, item.info.sequence).second) << item.key << ": listed twice";
        ASSERT_NE(twin(item.key), nullptr) << item.key << ": listed, and should not be here";
      }
      after = page.back().info.place;
    }
    std::vector<std::uint64_t> backwards;
    for (std::uint64_t before = 0;; before = backwards.back()) {
      const std::vector<Item> page = cache_->list_back(before, 1 + static_cast<std::size_t>(pick(1000)));
      if (page.empty()) break;
      for (const Item& item : page) backwards.push_back(item.info.place);
    }
    ASSERT_EQ(backwards.size(), listed.size());
    ASSERT_TRUE(std::is_sorted(backwards.rbegin(), backwards.rend()));
    for (auto at = twin_.begin(); at != twin_.end();) {
      const std::string key = (at++)->first;
      const bool here = cache_->contains(key);
      ASSERT_EQ(here, listed.count(key) == 1) << key;
      compare(key);
    }
  }

  engine::TestDirectory directory_;
  ManualClock clock_;
  std::mt19937_64 random_{static_cast<std::uint64_t>(std::get<1>(GetParam()))};
  std::map<std::string, Entry> twin_;
  std::optional<Cache> cache_;
};

TEST_P(TwinTest, Agrees) {
  open();
  for (int round = 0; round < kRounds && !HasFatalFailure(); ++round) {
    for (int i = 0; i < 2000 && !HasFatalFailure(); ++i) one_call();
    if (!HasFatalFailure()) rare_call();
  }
}

constexpr Shape kShapes[] = {
    {"roomy", false, 3000, 5000, 64 << 20, 2},
    {"crowded", true, 30'000, 40'000, 16 << 20, 1},
    {"crowded_shards", true, 60'000, 30'000, 16 << 20, 4},
    {"large_values", true, 300, 300'000, 16 << 20, 1},
};
INSTANTIATE_TEST_SUITE_P(Random, TwinTest, ::testing::Combine(::testing::ValuesIn(kShapes), ::testing::Range(1, 4)),
                         [](const auto& made) {
                           return std::string(std::get<0>(made.param).name) + "_" +
                                  std::to_string(std::get<1>(made.param));
                         });

}  // namespace
}  // namespace larder
