#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <larder/feed.h>
#include <larder/transaction.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "engine/steps.h"
#include "engine/test_directory.h"
#include "engine/test_process.h"

namespace larder {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

// A copy of all entries that is kept right by the feed alone.
class Near {
 public:
  explicit Near(const Cache& cache) : cache_(cache) { start_over(); }

  // Until it has seen everything up to now.
  void follow() {
    for (;;) {
      const Changes changes = cache_.changes(at_, 100).value();
      if (changes.lost) {
        ++lost_;
        start_over();
        continue;
      }
      for (const ChangeEvent& event : changes.events) {
        EXPECT_GT(event.sequence, at_);
        at_ = event.sequence;
        std::string value;
        if (event.kind == ChangeEvent::kSet && cache_.get(event.key, value)) {
          copy_[event.key] = value;
        } else {
          copy_.erase(event.key);
        }
      }
      at_ = changes.next;
      if (changes.events.empty()) return;
    }
  }
  const std::map<std::string, std::string>& copy() const { return copy_; }
  int lost() const { return lost_; }
  std::uint64_t at() const { return at_; }

 private:
  void start_over() {
    copy_.clear();
    at_ = cache_.changes(0, 0)->next;
    std::uint64_t after = 0;
    for (;;) {
      const std::vector<Item> items = cache_.list(after);
      if (items.empty()) return;
      after = items.back().info.place;
      std::string value;
      for (const Item& item : items) {
        if (cache_.get(item.key, value)) copy_[item.key] = value;
      }
    }
  }

  const Cache& cache_;
  std::map<std::string, std::string> copy_;
  std::uint64_t at_ = 0;
  int lost_ = 0;
};

class FeedTest : public ::testing::Test {
 protected:
  static std::vector<std::pair<std::string, ChangeEvent::Kind>> keys(const Changes& changes) {
    std::vector<std::pair<std::string, ChangeEvent::Kind>> all;
    for (const ChangeEvent& event : changes.events) all.emplace_back(event.key, event.kind);
    return all;
  }
  static std::map<std::string, std::string> all(const Cache& cache) {
    std::map<std::string, std::string> entries;
    std::uint64_t after = 0;
    for (;;) {
      const std::vector<Item> items = cache.list(after);
      if (items.empty()) return entries;
      after = items.back().info.place;
      for (const Item& item : items) {
        std::string value;
        if (cache.get(item.key, value)) entries[item.key] = value;
      }
    }
  }

  engine::TestDirectory directory_;
  Cache cache_ =
      Cache::open(directory_.path(), {.size_limit_bytes = 16 << 20, .shards = 4, .durability = Durability::kNone})
          .value();
};

TEST_F(FeedTest, TellsWhatChangedInOrder) {
  const std::uint64_t begin = cache_.changes(0, 0)->next;
  EXPECT_THAT(cache_.changes(begin)->events, IsEmpty());
  EXPECT_FALSE(cache_.wait_changes(begin, 0));
  cache_.set("a", "1").value();
  cache_.set("b", "1").value();
  EXPECT_TRUE(cache_.wait_changes(begin, 0));
  const Changes first = cache_.changes(begin).value();
  EXPECT_FALSE(first.lost);
  EXPECT_THAT(keys(first), ElementsAre(Pair("a", ChangeEvent::kSet), Pair("b", ChangeEvent::kSet)));
  EXPECT_EQ(first.events[0].sequence, cache_.info("a")->sequence);
  cache_.del("a").value();
  ASSERT_TRUE(cache_.transact([](Transaction& t) { return t.set("c", "1"); }).ok());
  EXPECT_THAT(keys(*cache_.changes(first.next)),
              ElementsAre(Pair("a", ChangeEvent::kDeleted), Pair("c", ChangeEvent::kSet)));
  // In parts it is the same.
  std::vector<std::string> in_parts;
  for (std::uint64_t at = begin;;) {
    const Changes part = cache_.changes(at, 1).value();
    if (part.events.empty()) break;
    in_parts.push_back(part.events[0].key);
    at = part.next;
  }
  EXPECT_THAT(in_parts, ElementsAre("a", "b", "a", "c"));
  Cache reader = Cache::open(directory_.path(), {.read_only = true}).value();
  EXPECT_THAT(keys(*reader.changes(first.next)),
              ElementsAre(Pair("a", ChangeEvent::kDeleted), Pair("c", ChangeEvent::kSet)));
}

TEST_F(FeedTest, AClearIsALoss) {
  cache_.set("a", "1").value();
  const std::uint64_t at = cache_.changes(0, 0)->next;
  cache_.clear().value();
  EXPECT_TRUE(cache_.changes(at)->lost);
  EXPECT_FALSE(cache_.changes(cache_.changes(at)->next)->lost);
}

TEST_F(FeedTest, AnEvictedTagIsALoss) {
  cache_.set("a", "1", {.tags = {"t"}}).value();
  const std::uint64_t at = cache_.changes(0, 0)->next;
  ASSERT_TRUE(cache_.evict_tag("t").ok());
  EXPECT_TRUE(cache_.changes(at)->lost);
  EXPECT_FALSE(cache_.changes(cache_.changes(at)->next)->lost);
}

TEST_F(FeedTest, EvictionByPrefixIsToldAsDeletions) {
  cache_.set("a", "1").value();
  cache_.set("b", "1").value();
  const std::uint64_t at = cache_.changes(0, 0)->next;
  cache_.evict({.prefix = "a"}).value();
  EXPECT_THAT(keys(*cache_.changes(at)), ElementsAre(Pair("a", ChangeEvent::kDeleted)));
}

TEST_F(FeedTest, WhoFellBehindIsTold) {
  cache_.set("stale", "old").value();
  const std::uint64_t at = cache_.changes(0, 0)->next;
  cache_.del("stale").value();
  // The tombstone goes with the segment that it lies in.
  const std::string value(2000, 'x');
  for (int i = 0; i < 60'000 && !cache_.changes(at, 1)->lost; ++i)
    cache_.set("key " + std::to_string(i), value).value();
  EXPECT_TRUE(cache_.changes(at, 1)->lost);
}

// A process died while it changed something, and who opened read-only cannot tell whether that has happened.
TEST_F(FeedTest, WhoMayNotRepairIsToldWhenSomebodyHas) {
  const Cache reader = Cache::open(directory_.path(), {.read_only = true}).value();
  const std::uint64_t begin = reader.changes(0, 0)->next;
  EXPECT_EQ(engine::in_child([&] {
              engine::step_hook.store([](engine::Step step) {
                if (step == engine::Step::kRedoNoted) ::kill(::getpid(), SIGKILL);
              });
              return cache_.set("a", "1").ok() ? 0 : 1;
            }),
            -SIGKILL);
  const Changes none = reader.changes(begin).value();
  EXPECT_EQ(none.next, begin);
  EXPECT_THAT(none.events, IsEmpty());
  EXPECT_FALSE(none.lost);
  EXPECT_TRUE(cache_.del("a").value());  // it has happened
  EXPECT_THAT(keys(reader.changes(begin).value()),
              ElementsAre(Pair("a", ChangeEvent::kSet), Pair("a", ChangeEvent::kDeleted)));
}

// A copy is kept equal by a follower while processes write, and through all that compaction moves and drops.
TEST_F(FeedTest, ANearCopyStaysEqualUnderProcesses) {
  struct Shared {
    std::atomic<int> done;
  };
  void* const memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  Shared& shared = *new (memory) Shared{};
  constexpr int kWriters = 2;
  for (int w = 0; w < kWriters; ++w) {
    if (::fork() != 0) continue;
    {
      std::mt19937 random(static_cast<unsigned>(w));
      Cache own = Cache::open(directory_.path()).value();
      for (int i = 0; i < 8000; ++i) {
        const std::string key = "key " + std::to_string(random() % 1000);
        const unsigned what = random() % 10;
        if (what < 7) {
          // Overwriting fills the shards many times over: 16 MiB are written with each 8000 of these.
          if (!own.set(key, std::to_string(random()) + std::string(random() % 4000, '.')).ok()) std::_Exit(1);
        } else if (what < 9) {
          if (!own.del(key).ok()) std::_Exit(1);
        } else {
          const std::string other = "key " + std::to_string(random() % 1000);
          const Status done = own.transact([&](Transaction& t) -> Status {
            if (Result<bool> gone = t.del(key); !gone.ok()) return gone.error();
            return t.set(other, "moved");
          });
          if (!done.ok()) std::_Exit(1);
        }
      }
      ++shared.done;
    }
    std::_Exit(0);
  }
  Cache reader = Cache::open(directory_.path(), {.read_only = true}).value();
  Near near(cache_);
  Near far(reader);
  while (shared.done < kWriters) {
    near.follow();
    far.follow();
    cache_.wait_changes(near.at(), 20);
  }
  for (int w = 0; w < kWriters; ++w) {
    int status = 0;
    ::wait(&status);
    EXPECT_EQ(status, 0);
  }
  near.follow();
  far.follow();
  const std::map<std::string, std::string> truth = all(cache_);
  EXPECT_EQ(near.copy(), truth);
  EXPECT_EQ(far.copy(), truth);
  ::munmap(memory, sizeof(Shared));
}

}  // namespace
}  // namespace larder
