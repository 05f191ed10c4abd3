#include "server/admission.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <map>
#include <thread>

namespace larder::server {
namespace {

// Says who came in, and holds each until it is let go.
class Hall final : public sources::Source {
 public:
  Result<sources::Plan> plan(const sources::Question&) override { return sources::Plan{}; }
  Result<std::string> version(const sources::Plan&) override { return std::string("v1"); }
  Result<sources::Answer> run(const sources::Question& question, const sources::Plan&, const sources::Limits& limits,
                              const Cancel&) override {
    MutexLock lock(mutex_);
    came_.push_back(question.sql);
    timeout_ms_ = limits.timeout_ms;
    changed_.notify_all();
    while (!free_[question.sql]) changed_.wait(lock.native());
    return sources::Answer{};
  }

  void let_go(const std::string& name) {
    MutexLock lock(mutex_);
    free_[name] = true;
    changed_.notify_all();
  }
  std::vector<std::string> wait_for(std::size_t guests) {
    MutexLock lock(mutex_);
    while (came_.size() < guests) changed_.wait(lock.native());
    return came_;
  }
  std::int64_t timeout_ms() {
    MutexLock lock(mutex_);
    return timeout_ms_;
  }

 private:
  Mutex mutex_;
  Condition changed_;
  std::vector<std::string> came_ LARDER_GUARDED_BY(mutex_);
  std::map<std::string, bool> free_ LARDER_GUARDED_BY(mutex_);
  std::int64_t timeout_ms_ LARDER_GUARDED_BY(mutex_) = 0;
};

class AdmissionTest : public testing::Test {
 protected:
  std::future<Code> ask(const std::string& name, std::int64_t timeout_ms = 0) {
    return std::async(std::launch::async, [this, name, timeout_ms] {
      const auto answer = door_.run({.sql = name}, {}, {.timeout_ms = timeout_ms}, cancel_);
      return answer.ok() ? Code::kExists : answer.error().code;  // kExists stands for an answer
    });
  }
  void wait_for_waiting(unsigned waiting) {
    while (door_.waiting() != waiting) std::this_thread::yield();
  }

  Hall hall_;
  Admission door_{hall_, 2};
  Cancel cancel_;
};

TEST_F(AdmissionTest, LetsSoManyInAndTheRestInOrder) {
  std::vector<std::string> names;
  std::vector<std::future<Code>> asked;
  for (unsigned i = 0; i < 20; ++i) {
    names.push_back(std::to_string(i));
    asked.push_back(ask(names.back()));
    if (i < 2)
      hall_.wait_for(i + 1);
    else
      wait_for_waiting(i - 1);
  }
  EXPECT_EQ(hall_.wait_for(2).size(), 2u);
  for (std::size_t i = 0; i < 20; ++i) {
    hall_.let_go(names[i]);  // one leaves, the next comes in
    const std::size_t came = std::min<std::size_t>(i + 3, 20);
    EXPECT_EQ(hall_.wait_for(came), std::vector<std::string>(names.begin(), names.begin() + came));
  }
  for (std::future<Code>& one : asked) EXPECT_EQ(one.get(), Code::kExists);
}

TEST_F(AdmissionTest, LetsThoseOutsideGo) {
  auto a = ask("a"), b = ask("b");
  hall_.wait_for(2);
  EXPECT_EQ(ask("late", 1).get(), Code::kTimeout);
  auto gone = ask("gone");
  wait_for_waiting(1);
  cancel_.cancel();
  EXPECT_EQ(gone.get(), Code::kCancelled);
  EXPECT_EQ(door_.waiting(), 0u);
  hall_.let_go("a");
  hall_.let_go("b");
  a.get();
  b.get();
  cancel_ = Cancel();
  hall_.let_go("c");
  EXPECT_EQ(ask("c").get(), Code::kExists);
}

TEST_F(AdmissionTest, PassesOnTheTimeThatIsLeft) {
  hall_.let_go("a");
  EXPECT_EQ(ask("a", 60'000).get(), Code::kExists);
  EXPECT_GT(hall_.timeout_ms(), 0);
  EXPECT_LE(hall_.timeout_ms(), 60'000);
  hall_.let_go("b");
  EXPECT_EQ(ask("b").get(), Code::kExists);
  EXPECT_EQ(hall_.timeout_ms(), 0);
}

}  // namespace
}  // namespace larder::server
