// Several threads, with a Cache each on one mapping, which is what ThreadSanitizer can see through.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <larder/cache.h>

#include <random>
#include <thread>

#include "engine/test_directory.h"
#include "engine/testing.h"

namespace larder {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int kEffort = 1;
#else
constexpr int kEffort = 5;
#endif

class ThreadsTest : public ::testing::Test {
 protected:
  static constexpr int kThreads = 4;

  // Each thread has a Cache of its own.
  template <typename Work>
  void together(Work&& work) {
    std::vector<Cache> caches;
    for (int i = 0; i < kThreads; ++i) caches.push_back(engine::share_mapping(first_).value());
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) threads.emplace_back([&, i] { work(caches[i], i); });
    for (std::thread& thread : threads) thread.join();
    EXPECT_THAT(first_.check().value().findings, ::testing::IsEmpty());
  }
  // A value that shows whose it is and whether it is whole.
  static std::string value_of(const std::string& key, int size) {
    std::string value;
    while (static_cast<int>(value.size()) < size) value += key + "|";
    return value;
  }
  static bool right(const std::string& key, std::string_view value) {
    return value == value_of(key, static_cast<int>(value.size()));
  }

  engine::TestDirectory directory_;
  Cache first_ =
      Cache::open(directory_.path(), {.size_limit_bytes = 16 << 20, .durability = Durability::kNone}).value();
};

TEST_F(ThreadsTest, ReadersSeeWholeValuesOfTheRightKey) {
  together([](Cache& cache, int thread) {
    std::mt19937 random(static_cast<unsigned>(thread));
    std::string value;
    for (int i = 0; i < 20'000 * kEffort; ++i) {
      const std::string key = std::to_string(random() % 5000);
      const unsigned what = random() % 10;
      if (what < 3) {
        const int repeats = static_cast<int>(random() % 100 == 0 ? random() % 10'000 : random() % 60);
        cache.set(key, value_of(key, repeats * static_cast<int>(key.size() + 1))).value();
      } else if (what < 4) {
        cache.del(key).value();
      } else if (what < 7) {
        if (cache.get(key, value)) {
          ASSERT_TRUE(right(key, value)) << key << ": " << value;
        }
      } else if (const std::optional<Pin> pin = cache.get(key)) {
        ASSERT_TRUE(right(key, pin->bytes())) << key << ": " << pin->bytes();
        std::this_thread::yield();
        ASSERT_TRUE(right(key, pin->bytes())) << key << ": " << pin->bytes();
      }
    }
  });
}

TEST_F(ThreadsTest, RoomIsMadeUnderReaders) {
  together([](Cache& cache, int thread) {
    std::mt19937 random(static_cast<unsigned>(thread));
    std::string value;
    for (int i = 0; i < 15'000 * kEffort; ++i) {
      const std::string key = std::to_string(random() % 30'000);
      if (random() % 2 == 0) {
        cache.set(key, value_of(key, 200 * static_cast<int>(key.size() + 1))).value();
      } else if (cache.get(key, value)) {
        ASSERT_TRUE(right(key, value)) << key;
      } else if (const std::optional<Pin> pin = cache.get(key)) {
        ASSERT_TRUE(right(key, pin->bytes())) << key;
      }
    }
  });
  EXPECT_GT(first_.stats().evictions, 0u);
}

TEST_F(ThreadsTest, CountsAreNotLost) {
  together([](Cache& cache, int) {
    for (int i = 0; i < 2000 * kEffort; ++i) cache.incr("n" + std::to_string(i % 3)).value();
  });
  std::int64_t sum = 0;
  for (int i = 0; i < 3; ++i) sum += first_.incr("n" + std::to_string(i), 0).value();
  EXPECT_EQ(sum, kThreads * 2000 * kEffort);
}

TEST_F(ThreadsTest, OneAdderWins) {
  std::atomic<int> winners{0};
  together([&](Cache& cache, int) {
    for (int i = 0; i < 1000 * kEffort; ++i) winners += cache.add(std::to_string(i), "1").value() ? 1 : 0;
  });
  EXPECT_EQ(winners, 1000 * kEffort);
}

TEST_F(ThreadsTest, KeysThatStayAreNeverMissedWhileTheIndexGrows) {
  for (int i = 0; i < 500; ++i) first_.set("stays " + std::to_string(i), "1").value();
  together([](Cache& cache, int thread) {
    std::string value;
    for (int i = 0; i < 10'000 * kEffort; ++i) {
      if (thread == 0) {
        cache.set("grows " + std::to_string(i), "").value();
      } else {
        ASSERT_TRUE(cache.get("stays " + std::to_string(i % 500), value)) << i;
      }
    }
  });
}

TEST_F(ThreadsTest, ListsWhileOthersWrite) {
  for (int i = 0; i < 500; ++i) first_.set("stays " + std::to_string(i), "1").value();
  together([](Cache& cache, int thread) {
    if (thread != 0) {
      for (int i = 0; i < 3000 * kEffort; ++i) {
        const Status set = cache.set("changes " + std::to_string(i % 3000), std::string(1000, 'v'));
        ASSERT_TRUE(set.ok()) << set.error().message;
      }
      return;
    }
    for (int round = 0; round < 5; ++round) {
      int stayed = 0;
      std::uint64_t after = 0;
      for (;;) {
        const std::vector<Item> page = cache.list(after, 100);
        if (page.empty()) break;
        after = page.back().info.place;
        for (const Item& item : page) stayed += item.key.rfind("stays ", 0) == 0 ? 1 : 0;
      }
      ASSERT_EQ(stayed, 500);
    }
  });
}

TEST_F(ThreadsTest, ClearsWhileOthersWork) {
  together([](Cache& cache, int thread) {
    std::string value;
    for (int i = 0; i < 3000 * kEffort; ++i) {
      const std::string key = std::to_string(i % 1000);
      if (thread == 0 && i % 100 == 0) {
        cache.clear().value();
      } else if (thread % 2 == 0) {
        cache.set(key, value_of(key, 100 * static_cast<int>(key.size() + 1))).value();
      } else if (cache.get(key, value)) {
        ASSERT_TRUE(right(key, value)) << key;
      }
    }
  });
}

TEST_F(ThreadsTest, EveryReadIsCountedHoweverManyThreadsThereAre) {
  first_.set("here", "1").value();
  const Stats before = first_.stats();
  constexpr int kReaders = 8;
  constexpr int kReads = 20'000 * kEffort;
  for (int round = 0; round < 2; ++round) {  // those that end make room for others
    std::atomic<int> ready = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < kReaders; ++i) {
      threads.emplace_back([&] {
        for (++ready; ready < kReaders;) std::this_thread::yield();
        std::string value;
        for (int read = 0; read < kReads; ++read) {
          first_.get("here", value);
          first_.get("gone", value);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(first_.stats().hits - before.hits, 2u * kReaders * kReads);
  EXPECT_EQ(first_.stats().misses - before.misses, 2u * kReaders * kReads);
}

TEST_F(ThreadsTest, NobodySeesWhatWasEvictedByTag) {
  // So many that the table of tags fills and is emptied on the way.
  constexpr int kTags = 2500;
  constexpr int kKeys = 4;
  std::atomic<std::uint64_t> evicted[kTags] = {};  // what was written before this sequence is gone
  std::atomic<bool> done{false};
  together([&](Cache& cache, int thread) {
    std::mt19937 random(static_cast<unsigned>(thread));
    if (thread == 0) {
      for (int i = 0; i < 2 * kTags; ++i) {
        cache.set("mark", "1").value();
        const std::uint64_t mark = cache.info("mark")->sequence;
        const std::string tag = "tag " + std::to_string(i % kTags);
        if (i % 100 == 0) {
          cache.evict({.tag = tag}).value();
        } else {
          cache.evict_tag(tag).value();
        }
        evicted[i % kTags].store(mark);
      }
      done.store(true);
      return;
    }
    while (!done.load()) {
      const int tag = static_cast<int>(random() % kTags);
      const std::string name = "tag " + std::to_string(tag);
      const std::string key = name + " key " + std::to_string(random() % kKeys);
      if (random() % 3 == 0) {
        cache.set(key, "v", {.tags = {"other", name}}).value();
      } else {
        const std::uint64_t before = evicted[tag].load();
        if (const std::optional<Pin> pin = cache.get(key)) {
          ASSERT_GT(pin->info().sequence, before) << key;
        }
      }
    }
  });
}

TEST_F(ThreadsTest, ComparingLosesNoAddition) {
  constexpr int kAdditions = 300 * kEffort;
  first_.set("sum", "0").value();
  together([](Cache& cache, int) {
    for (int i = 0; i < kAdditions;) {
      const std::optional<Pin> pin = cache.get("sum");
      ASSERT_TRUE(pin);
      const std::string next = std::to_string(std::stoll(std::string(pin->bytes())) + 1);
      i += cache.compare_and_set("sum", pin->info().sequence, next).value() ? 1 : 0;
    }
  });
  EXPECT_EQ(first_.get("sum")->bytes(), std::to_string(kThreads * kAdditions));
}

TEST_F(ThreadsTest, OnePopsWhatManyAskFor) {
  constexpr int kItems = 2000 * kEffort;
  for (int i = 0; i < kItems; ++i) first_.set("item " + std::to_string(i), std::to_string(i)).value();
  std::atomic<int> taken{0};
  together([&](Cache& cache, int) {
    for (int i = 0; i < kItems; ++i) {
      if (const std::optional<Entry> entry = cache.pop("item " + std::to_string(i)).value()) {
        ASSERT_EQ(entry->value, std::to_string(i));
        taken.fetch_add(1);
      }
    }
  });
  EXPECT_EQ(taken.load(), kItems);
}

TEST_F(ThreadsTest, OneCacheServesManyThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::string value;
      for (int i = 0; i < 5000 * kEffort; ++i) {
        const std::string key = std::to_string((i + t) % 777);
        first_.set(key, value_of(key, 5 * static_cast<int>(key.size() + 1))).value();
        if (first_.get(key, value)) {
          ASSERT_TRUE(right(key, value));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(first_.check().value().findings, ::testing::IsEmpty());
}

}  // namespace
}  // namespace larder
