// Several processes on one directory: death, fork, pins of the dead, full disks.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <larder/cache.h>
#include <larder/stream.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/layout.h"
#include "engine/steps.h"
#include "engine/test_directory.h"
#include "engine/test_process.h"
#include "mounts.h"

#ifndef F_OFD_SETLK  // of Linux, hidden by strict standard modes
#define F_OFD_SETLK 37
#endif

namespace larder {
namespace {

using engine::in_child;
using ::testing::IsEmpty;

class ProcessesTest : public ::testing::Test {
 protected:
  Cache open() { return Cache::open(directory_.path(), options_).value(); }
  static int die() {
    ::kill(::getpid(), SIGKILL);
    return 1;
  }

  engine::TestDirectory directory_;
  Options options_{.size_limit_bytes = 16 << 20, .durability = Durability::kNone};
};

TEST_F(ProcessesTest, SeeEachOthersEntries) {
  Cache cache = open();
  cache.set("parent", "1").value();
  EXPECT_EQ(in_child([&] {
              Cache mine = open();
              const bool seen = mine.get("parent")->bytes() == "1";
              mine.set("child", "2").value();
              return seen && mine.stats().processes == 2 ? 0 : 1;
            }),
            0);
  EXPECT_EQ(cache.get("child")->bytes(), "2");
  EXPECT_EQ(cache.stats().processes, 1u);
}

TEST_F(ProcessesTest, AForkedChildUsesTheCacheItInherited) {
  Cache cache = open();
  cache.set("parent", "1").value();
  const Pin pin = *cache.get("parent");
  EXPECT_EQ(in_child([&] {
              cache.set("child", "2").value();
              return cache.get("parent")->bytes() == "1" && cache.stats().processes == 2 ? 0 : 1;
            }),
            0);
  EXPECT_EQ(cache.get("child")->bytes(), "2");
  EXPECT_EQ(cache.stats().processes, 1u);
  EXPECT_THAT(cache.check().value().findings, IsEmpty());
}

TEST_F(ProcessesTest, AForkedChildThatNeverTouchesItTakesNoPlace) {
  Cache cache = open();
  int ready[2];
  int go[2];
  ASSERT_EQ(::pipe(ready) | ::pipe(go), 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    char byte = 0;
    (void)!::write(ready[1], "r", 1);
    (void)!::read(go[0], &byte, 1);
    engine::leave(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_EQ(cache.stats().processes, 1u);
  ASSERT_EQ(::write(go[1], "g", 1), 1);
  ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
}

TEST_F(ProcessesTest, ADeadHolderOfTheLockIsSucceeded) {
  Cache cache = open();
  cache.set("a", "before").value();
  EXPECT_EQ(in_child([&] {
              engine::step_hook.store([](engine::Step at) {
                if (at == engine::Step::kRedoNoted) ::kill(::getpid(), SIGKILL);
              });
              Cache mine = open();
              mine.set("a", "after").value();
              return 0;
            }),
            -SIGKILL);
  EXPECT_EQ(cache.get("a")->bytes(), "before");  // readers do not wait for the repair
  cache.set("b", "1").value();                   // the next writer makes it
  EXPECT_EQ(cache.get("a")->bytes(), "after");
  EXPECT_EQ(cache.stats().repairs, 1u);
  EXPECT_THAT(cache.check().value().findings, IsEmpty());
}

TEST_F(ProcessesTest, AChildOfTheDeadDoesNotKeepItsLock) {
  // The child of a dead process inherited its liveness descriptor, and must have let go of it.
  Cache cache = open();
  int pipe_to_grandchild[2];
  ASSERT_EQ(::pipe(pipe_to_grandchild), 0);
  EXPECT_EQ(in_child([&] {
              Cache mine = open();
              if (::fork() == 0) {
                ::close(pipe_to_grandchild[1]);
                char byte = 0;
                (void)!::read(pipe_to_grandchild[0], &byte, 1);
                engine::leave(0);
              }
              engine::step_hook.store([](engine::Step at) {
                if (at == engine::Step::kRecordHalf) ::kill(::getpid(), SIGKILL);
              });
              mine.set("a", "after").value();
              return 0;
            }),
            -SIGKILL);
  cache.set("a", "1").value();  // would wait for ever
  EXPECT_EQ(cache.stats().repairs, 1u);
  ::close(pipe_to_grandchild[0]);
  ::close(pipe_to_grandchild[1]);
}

TEST_F(ProcessesTest, PinsOfTheDeadAreGivenBack) {
  Cache cache = open();
  const std::string value(1000, 'v');
  for (int i = 0; i < 10'000; ++i) cache.set(std::to_string(i), value).value();
  EXPECT_EQ(in_child([&] {
              Cache mine = open();
              std::vector<Pin> pins;
              for (int i = 0; i < 10'000; ++i) pins.push_back(*mine.get(std::to_string(i)));
              return die();
            }),
            -SIGKILL);
  for (int i = 0; i < 40'000; ++i) cache.set("more " + std::to_string(i), value).value();
  EXPECT_THAT(cache.check().value().findings, IsEmpty());
}

TEST_F(ProcessesTest, AFullDiskTakesNoLargeValue) {
  const int ended = in_child_on_disk(directory_.path(), "6m", [&] {
    Cache cache = open();
    if (!cache.set("a", std::string(1 << 20, 'a')).ok()) return 1;
    const Status refused = cache.set("a", std::string(6 << 20, 'b'));
    if (refused.ok() || refused.error().code != Code::kNoSpace) return 2;
    ValueWriter writer = cache.writer("a").value();
    Status last;
    for (int i = 0; i < 10 && last.ok(); ++i) last = writer.write(std::string(1 << 20, 'c'));
    if (last.ok() || last.error().code != Code::kNoSpace || writer.commit().ok()) return 3;
    if (cache.get("a")->bytes() != std::string(1 << 20, 'a')) return 4;
    { const ValueWriter gone = std::move(writer); }
    if (!cache.set("b", std::string(2 << 20, 'b')).ok()) return 5;  // nothing is left of what did not fit
    return cache.check().value().findings.empty() && cache.stats().blob_bytes == 3 << 20 ? 0 : 6;
  });
  if (ended == kNotAllowed) GTEST_SKIP() << "this machine lets nobody mount";
  EXPECT_EQ(ended, 0);
}

TEST_F(ProcessesTest, AForkedChildLeavesItsParentsWriterAlone) {
  Cache cache = open();
  ValueWriter writer = cache.writer("a").value();
  writer.write(std::string(1 << 20, 'a')).value();
  EXPECT_EQ(in_child([&] {
              (void)cache.contains("a");
              { const ValueWriter gone = std::move(writer); }
              return 0;
            }),
            0);
  writer.commit().value();
  EXPECT_EQ(cache.get("a")->bytes(), std::string(1 << 20, 'a'));
}

TEST_F(ProcessesTest, AFullDiskIsAnErrorAndNotASignal) {
  const int ended = in_child_on_disk(directory_.path(), "6m", [&] {
    Cache cache = open();
    Status last;
    int written = 0;
    for (; written < 60'000 && last.ok(); ++written) last = cache.set(std::to_string(written), std::string(1000, 'v'));
    if (last.ok() || last.error().code != Code::kNoSpace) return 1;
    if (!cache.get(std::to_string(written / 2))) return 2;
    if (!cache.check().value().findings.empty()) return 3;
    // What is there can be deleted and overwritten by less, and a clear gives the space back.
    if (!cache.del("1").value()) return 4;
    cache.clear().value();
    if (!cache.set("a", std::string(1000, 'v')).ok()) return 5;
    return cache.check().value().findings.empty() ? 0 : 6;
  });
  if (ended == kNotAllowed) GTEST_SKIP() << "this machine lets nobody mount";
  EXPECT_EQ(ended, 0);
}

TEST_F(ProcessesTest, ADiskTooSmallForACacheIsAnError) {
  const int ended = in_child_on_disk(directory_.path(), "64k", [&] {
    const Result<Cache> cache = Cache::open(directory_.path(), options_);
    return !cache.ok() && cache.error().code == Code::kNoSpace ? 0 : 1;
  });
  if (ended == kNotAllowed) GTEST_SKIP() << "this machine lets nobody mount";
  EXPECT_EQ(ended, 0);
}

// Two containers on one directory: process ids say nothing there, and may even be the same.
TEST_F(ProcessesTest, TwoPidNamespacesShareOneDirectory) {
  constexpr int kCounts = 20'000;
  // In a namespace of its own, as process 1; waits its turn and takes it while the other one does.
  const auto container = [&](bool dies) {
    return in_child([&] {
      if (!enter_new(CLONE_NEWPID)) return kNotAllowed;
      return in_child([&] {
        Cache mine = open();
        for (int i = 0; i < kCounts; ++i) mine.incr("n").value();
        if (!dies) return ::getpid() == 1 ? 0 : 1;
        // A process 1 cannot kill itself; ending inside a change is the same for the others.
        engine::step_hook.store([](engine::Step at) {
          if (at == engine::Step::kRecordWhole) engine::leave(0);
        });
        mine.incr("n").value();
        return 1;
      });
    });
  };
  Cache cache = open();
  const pid_t other = ::fork();
  if (other == 0) engine::leave(container(true));
  const int ended = container(false);
  int status = 0;
  ASSERT_EQ(::waitpid(other, &status, 0), other);
  if (ended == kNotAllowed) GTEST_SKIP() << "this machine gives nobody a namespace";
  EXPECT_EQ(ended, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(cache.incr("n", 0).value(), 2 * kCounts);
  EXPECT_EQ(cache.stats().repairs, 1u);
  EXPECT_THAT(cache.check().value().findings, IsEmpty());
}

// Who takes a place may be slow to say so; those behind him must not be overlooked.
TEST_F(ProcessesTest, PinsBehindAPlaceThatIsBeingTakenCount) {
  Cache cache = open();
  const Fd ctl(::open((directory_.path() / "ctl").c_str(), O_RDWR | O_CLOEXEC));
  struct flock place {};
  place.l_type = F_WRLCK;
  place.l_whence = SEEK_SET;
  place.l_start = static_cast<off_t>(engine::kLivenessBase + 1);
  place.l_len = 1;
  ASSERT_EQ(::fcntl(ctl.get(), F_OFD_SETLK, &place), 0);
  cache.set("a", std::string(2000, 'a')).value();
  const Cache other = open();
  const Pin pin = *other.get("a");
  cache.clear().value();
  for (int i = 0; i < 40'000; ++i) cache.set("more " + std::to_string(i), std::string(1000, 'v')).value();
  EXPECT_EQ(pin.bytes(), std::string(2000, 'a'));
}

TEST_F(ProcessesTest, RefusesOneMoreThanThereArePlacesFor) {
  std::vector<Cache> caches;
  for (int i = 0; i < 128; ++i) caches.push_back(open());
  const Result<Cache> one_more = Cache::open(directory_.path(), options_);
  ASSERT_FALSE(one_more.ok());
  EXPECT_EQ(one_more.error().code, Code::kUnavailable);
  caches.pop_back();
  EXPECT_TRUE(Cache::open(directory_.path(), options_).ok());
}

}  // namespace
}  // namespace larder
