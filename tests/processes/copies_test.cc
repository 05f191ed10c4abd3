// Copies that are made while other processes write, evict, compact and die; and processes that die while making one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <larder/cache.h>
#include <larder/transaction.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <vector>

#include "base/check.h"
#include "base/try.h"
#include "engine/layout.h"
#include "engine/steps.h"
#include "engine/test_directory.h"
#include "engine/test_files.h"

namespace larder {
namespace {

using ::testing::IsEmpty;

constexpr int kKeys = 8;       // written one after another
constexpr int kAccounts = 16;  // amounts go from one to another
constexpr long kAmount = 1000;
constexpr SetOptions kStays{.pinned = true};

std::string get(const Cache& cache, const std::string& key) {
  std::string value = "-";
  cache.get(key, value);
  return value;
}

// --- What the writers do, for ever ---

Status count_on(Cache& cache, long n) {
  for (int key = 0; key < kKeys; ++key) TRY(cache.set("k" + std::to_string(key), std::to_string(n), kStays));
  return {};
}

// At no moment are there both.
Status swing(Cache& cache, long) {
  TRY(cache.del("left"));
  TRY(cache.set("right", "1", kStays));
  TRY(cache.del("right"));
  return cache.set("left", "1", kStays);
}

Status move_amounts(Cache& cache, long n) {
  static std::mt19937 random(static_cast<unsigned>(::getpid()));
  const std::string from = "account" + std::to_string(random() % kAccounts);
  const std::string to = "account" + std::to_string(random() % kAccounts);
  const long amount = n % 10;
  if (from == to) return {};
  return cache.transact([&](Transaction& transaction) -> Status {
    const auto add = [&](const std::string& key, long more) -> Status {
      const std::optional<std::string> now = TRY(transaction.get(key));
      return transaction.set(key, std::to_string(std::stol(now.value_or("0")) + more), kStays);
    };
    TRY(add(from, -amount));
    return add(to, amount);
  });
}

// Segments come and go, by eviction and by compaction; a tag goes at once.
Status fill(Cache& cache, long n) {
  static const std::string value(3000, 'v');
  const std::string prefix = "fill" + std::to_string(::getpid() % 2) + ".";
  if (n % 3000 == 2999) TRY(cache.evict_tag("red"));
  if (n % 7 == 0) TRY(cache.del(prefix + std::to_string(n * 3 % 6000)));
  return cache.set(prefix + std::to_string(n % 6000), value, n % 5 == 0 ? SetOptions{.tags = {"red"}} : SetOptions{});
}

class CopiesTest : public ::testing::Test {
 protected:
  using Work = std::function<Status(Cache&, long)>;

  ~CopiesTest() override {
    for (const pid_t pid : children_) end(pid, SIGKILL);
  }

  Cache open(const std::filesystem::path& path) { return Cache::open(path, options_).value(); }
  pid_t start(const Work& work) {
    const pid_t pid = ::fork();
    LARDER_CHECK(pid >= 0);
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      Cache mine = open(cache_);
      Status done;
      for (long n = 0; done.ok(); ++n) done = work(mine, n);
      std::fprintf(stderr, "%s\n", done.error().message.c_str());
      std::_Exit(1);
    }
    return pid;
  }
  static int end(pid_t pid, int signal) {
    ::kill(pid, signal);
    int status = 0;
    LARDER_CHECK(::waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  }

  void expect_one_moment(Cache& copy) {
    EXPECT_THAT(copy.check().value().findings, IsEmpty());
    std::vector<long> numbers;
    for (int key = 0; key < kKeys; ++key) numbers.push_back(std::stol(get(copy, "k" + std::to_string(key))));
    EXPECT_TRUE(std::is_sorted(numbers.rbegin(), numbers.rend())) << ::testing::PrintToString(numbers);
    EXPECT_LE(numbers.front() - numbers.back(), 1);
    EXPECT_FALSE(copy.contains("left") && copy.contains("right"));
    long sum = 0;
    for (int account = 0; account < kAccounts; ++account)
      sum += std::stol(get(copy, "account" + std::to_string(account)));
    EXPECT_EQ(sum, kAccounts * kAmount);
  }

  engine::TestDirectory directory_;
  const std::filesystem::path cache_ = directory_.path() / "cache";
  const std::filesystem::path copy_ = directory_.path() / "copy";
  const Options options_{.size_limit_bytes = 16 << 20, .shards = 4, .durability = Durability::kNone};
  std::vector<pid_t> children_;
};

TEST_F(CopiesTest, AreOfOneMomentWhateverOthersDo) {
  Cache cache = open(cache_);
  count_on(cache, 0).value();
  for (int i = 0; i < kAccounts; ++i) cache.set("account" + std::to_string(i), std::to_string(kAmount), kStays).value();
  const std::vector<Work> works = {count_on, swing, move_amounts, move_amounts, fill, fill};
  for (const Work& work : works) children_.push_back(start(work));
  for (int round = 0; round < 15; ++round) {
    // One that moves amounts or fills dies wherever it is, and another comes.
    pid_t& dies = children_[2 + static_cast<std::size_t>(round) % 4];
    const Work& again = works[2 + static_cast<std::size_t>(round) % 4];
    bool killed = false;
    const auto kill_one = [&](std::uint64_t, std::uint64_t) {
      if (std::exchange(killed, true)) return true;
      EXPECT_EQ(end(dies, SIGKILL), -SIGKILL) << "a writer was refused";
      return true;
    };
    cache.backup(copy_, kill_one).value();
    dies = start(again);
    Cache copy = open(copy_);
    expect_one_moment(copy);
    std::filesystem::remove_all(copy_);
  }
  for (const pid_t pid : children_) EXPECT_EQ(end(pid, SIGKILL), -SIGKILL) << "a writer was refused";
  children_.clear();
  EXPECT_THAT(cache.check().value().findings, IsEmpty());
}

// --- Who makes one dies ---

class DyingCopiesTest : public CopiesTest {
 protected:
  // How many segments somebody's pins hold.
  std::size_t pinned() const {
    engine::Superblock superblock{};
    const std::string head = engine::read_bytes(cache_ / "ctl", 0, sizeof(superblock));
    std::memcpy(&superblock, head.data(), sizeof(superblock));
    const engine::Geometry geometry{superblock.capacity_bytes, superblock.shards, superblock.segment_shift};
    const std::string pins = engine::read_bytes(cache_ / "ctl", geometry.pins_at(),
                                                geometry.pins_pitch() * engine::kProcessesMax * engine::kStripes);
    std::size_t found = 0;
    for (std::size_t at = 0; at < pins.size(); at += 4) found += pins.compare(at, 4, std::string(4, '\0')) != 0;
    return found;
  }
  std::vector<std::filesystem::path> unfinished() const {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      if (entry.path().string().find(".part-") != std::string::npos) found.push_back(entry.path());
    }
    return found;
  }
  // A child that makes a copy and kills itself there.
  void die_at(engine::Step step) {
    static std::atomic<engine::Step> there{};
    there = step;
    const pid_t pid = ::fork();
    LARDER_CHECK(pid >= 0);
    if (pid == 0) {
      Cache mine = open(cache_);
      engine::step_hook.store([](engine::Step at) {
        if (at == there.load()) ::kill(::getpid(), SIGKILL);
      });
      (void)mine.backup(copy_);
      std::_Exit(1);
    }
    int status = 0;
    LARDER_CHECK(::waitpid(pid, &status, 0) == pid);
    EXPECT_TRUE(WIFSIGNALED(status));
  }
};

TEST_F(DyingCopiesTest, AreNeverTakenForWholeOnes) {
  Cache cache = open(cache_);
  for (int i = 0; i < 1000; ++i) cache.set("key" + std::to_string(i), std::string(4000, 'v')).value();
  for (const engine::Step step : {engine::Step::kBackupHeld, engine::Step::kBackupCopied, engine::Step::kBackupWhole}) {
    die_at(step);
    EXPECT_FALSE(std::filesystem::exists(copy_));
    const auto parts = unfinished();
    ASSERT_EQ(parts.size(), 1u) << "what the one before left goes";
    Options there = options_;
    there.create = false;
    if (step == engine::Step::kBackupWhole) continue;  // that one is whole
    EXPECT_EQ(Cache::open(parts[0], there).error().code, Code::kNotFound);
    if (step == engine::Step::kBackupCopied) {
      EXPECT_FALSE(Cache::open(parts[0], options_).ok());
    }
    EXPECT_EQ(Cache::restore(parts[0], directory_.path() / "new").error().code, Code::kNotFound);
  }
  cache.backup(copy_).value();
  EXPECT_THAT(unfinished(), IsEmpty());
  EXPECT_EQ(open(copy_).stats().entries, cache.stats().entries);
  EXPECT_THAT(cache.check().value().findings, IsEmpty());
}

TEST_F(DyingCopiesTest, LeaveNothingPinned) {
  Cache cache = open(cache_);
  const std::string value(4000, 'v');
  // A cache that has room yet, so that writers find segments that the dead one did not pin.
  for (int i = 0; i < 1500; ++i) cache.set("old" + std::to_string(i), value).value();
  die_at(engine::Step::kBackupHeld);
  EXPECT_GT(pinned(), 20u);
  for (int i = 0; i < 20'000; ++i) cache.set("new" + std::to_string(i), value).value();
  EXPECT_EQ(pinned(), 0u);
  int left = 0;
  for (int i = 0; i < 1500; ++i) left += cache.contains("old" + std::to_string(i)) ? 1 : 0;
  EXPECT_EQ(left, 0) << "the oldest would never go";
  EXPECT_THAT(cache.check().value().findings, IsEmpty());
}

TEST_F(DyingCopiesTest, AnywhereAtAll) {
  Cache cache = open(cache_);
  count_on(cache, 0).value();
  for (int i = 0; i < kAccounts; ++i) cache.set("account" + std::to_string(i), std::to_string(kAmount), kStays).value();
  const std::vector<Work> works = {count_on, swing, move_amounts, fill};
  for (const Work& work : works) children_.push_back(start(work));
  std::mt19937 random(7);
  for (int round = 0; round < 30; ++round) {
    const pid_t pid = ::fork();
    LARDER_CHECK(pid >= 0);
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      Cache mine = open(cache_);
      for (int i = 0;; ++i) (void)mine.backup(directory_.path() / ("copy" + std::to_string(i)));
    }
    ::usleep(random() % 40'000);
    end(pid, SIGKILL);
    // What has got its name is whole.
    for (int i = 0; std::filesystem::exists(directory_.path() / ("copy" + std::to_string(i))); ++i) {
      Cache copy = open(directory_.path() / ("copy" + std::to_string(i)));
      expect_one_moment(copy);
    }
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      if (entry.path() != cache_) std::filesystem::remove_all(entry.path());
    }
  }
  for (const pid_t pid : children_) EXPECT_EQ(end(pid, SIGKILL), -SIGKILL) << "a writer was refused";
  children_.clear();
  EXPECT_THAT(cache.check().value().findings, IsEmpty());
}

}  // namespace
}  // namespace larder
