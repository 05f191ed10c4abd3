// A source that a test holds, lets go, changes and breaks, and the cache in front of it.
#include "query/query_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <thread>

#include "base/mutex.h"

namespace larder::query {
namespace {

using testing::HasSubstr;

class FakeSource final : public sources::Source {
 public:
  Result<sources::Plan> plan(const sources::Question& question) override {
    MutexLock lock(mutex_);
    ++plans_;
    if (question.sql == "bad") return Error{Code::kInvalid, "no such statement"};
    sources::Plan plan;
    for (char c : question.sql)
      if (c != ' ') plan.normal_sql += static_cast<char>(std::toupper(c));
    plan.reads = {"t"};
    plan.repeatable = question.sql.find("random()") == std::string::npos;
    return plan;
  }
  Result<std::string> version(const sources::Plan&) override {
    MutexLock lock(mutex_);
    return version_;
  }
  Result<sources::Answer> run(const sources::Question& question, const sources::Plan&, const sources::Limits& limits,
                              const Cancel& cancel) override {
    bool gone = false;
    const Cancel::Listener listener(cancel, [&] {
      MutexLock lock(mutex_);
      gone = true;
      changed_.notify_all();
    });
    MutexLock lock(mutex_);
    const int number = ++runs_;
    changed_.notify_all();
    while (held_ && !gone) changed_.wait(lock.native());
    if (gone) return Error{Code::kCancelled, "stopped"};
    if (!error_.message.empty()) return error_;
    if (limits.rows_max != 0 && rows_ > limits.rows_max) return Error{Code::kTooLarge, "too many rows"};
    if (clock_ != nullptr) clock_->advance_ms(cost_ms_);
    std::string read = version_;
    if (!version_after_.empty()) version_ = std::exchange(version_after_, "");
    std::string arrow = question.sql + "#" + std::to_string(number);
    arrow.resize(std::max<std::size_t>(arrow.size(), bytes_), '.');
    return sources::Answer{std::move(arrow), rows_, std::move(read)};
  }

  // --- The test's hands ---
  void hold() {
    set([&] { held_ = true; });
  }
  void let_go() {
    set([&] { held_ = false; });
  }
  void change_to(std::string version) {
    set([&] { version_ = std::move(version); });
  }
  void change_after_the_run_to(std::string version) {
    set([&] { version_after_ = std::move(version); });
  }
  void fail_with(Error error) {
    set([&] { error_ = std::move(error); });
  }
  void answer_rows(std::uint64_t rows) {
    set([&] { rows_ = rows; });
  }
  void answer_bytes(std::size_t bytes) {
    set([&] { bytes_ = bytes; });
  }
  void take_ms(ManualClock& clock, std::int64_t ms) {
    set([&] { clock_ = &clock, cost_ms_ = ms; });
  }
  int runs() const {
    MutexLock lock(mutex_);
    return runs_;
  }
  int plans() const {
    MutexLock lock(mutex_);
    return plans_;
  }
  void wait_for_runs(int runs) {
    MutexLock lock(mutex_);
    while (runs_ < runs) changed_.wait(lock.native());
  }

 private:
  template <typename Change>
  void set(Change change) {
    MutexLock lock(mutex_);
    change();
    changed_.notify_all();
  }

  mutable Mutex mutex_;
  Condition changed_;
  int plans_ = 0, runs_ = 0;
  bool held_ = false;
  std::string version_ = "v1", version_after_;
  Error error_{Code::kInternal, ""};
  std::uint64_t rows_ = 7;
  std::size_t bytes_ = 0;
  ManualClock* clock_ = nullptr;
  std::int64_t cost_ms_ = 0;
};

Ask ask(std::string sql, std::optional<std::int64_t> max_age_ms = std::nullopt) {
  return {.question = {.source = "", .sql = std::move(sql), .params = {}}, .max_age_ms = max_age_ms, .scope = ""};
}

class QueryCacheTest : public testing::Test {
 protected:
  QueryCacheTest() {
    std::string name = (std::filesystem::temp_directory_path() / "larder-query-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
    open();
  }
  ~QueryCacheTest() override {
    close();
    std::filesystem::remove_all(directory_);
  }

  void open(Options options = {}) {
    options.size_limit_bytes = 64 << 20;
    options.clock = &clock_;
    cache_.emplace(Cache::open(directory_, options).value());
    queries_.emplace(*cache_, source_, QueryCache::Options{.clock = &clock_});
  }
  void close() {
    queries_.reset();
    cache_.reset();
  }

  Result<Reply> fetch(const Ask& ask, const sources::Limits& limits = {}, const Cancel& cancel = {}) {
    return queries_->fetch(ask, limits, cancel);
  }
  std::future<Result<Reply>> fetch_beside(Ask ask, sources::Limits limits = {}, Cancel cancel = {}) {
    return std::async(std::launch::async, [=, this] { return fetch(ask, limits, cancel); });
  }
  std::optional<Reply> lookup(const Ask& ask) { return queries_->lookup(ask).value(); }

  void wait_until_waiting(std::uint64_t callers) {
    while (queries_->stats().waiting != callers) std::this_thread::yield();
  }

  std::filesystem::path directory_;
  ManualClock clock_;
  FakeSource source_;
  std::optional<Cache> cache_;
  std::optional<QueryCache> queries_;
};

// --- Hits and misses ---

TEST_F(QueryCacheTest, AsksOnceAndThenKnows) {
  source_.take_ms(clock_, 830);
  EXPECT_EQ(lookup(ask("select 1")), std::nullopt);

  const Reply miss = fetch(ask("select 1")).value();
  EXPECT_EQ(miss.outcome, Outcome::kMiss);
  EXPECT_TRUE(miss.stored) << miss.not_stored;
  EXPECT_EQ(miss.arrow(), "select 1#1");
  EXPECT_EQ(miss.rows, 7u);
  EXPECT_EQ(miss.cost_ms, 830);
  EXPECT_EQ(miss.version, "v1");
  EXPECT_EQ(miss.age_ms, 0);

  clock_.advance_ms(3000);
  for (const Reply& hit : {lookup(ask("select 1")).value(), fetch(ask("select 1")).value()}) {
    EXPECT_EQ(hit.outcome, Outcome::kHit);
    EXPECT_EQ(hit.arrow(), "select 1#1");
    EXPECT_EQ(hit.rows, 7u);
    EXPECT_EQ(hit.cost_ms, 830);
    EXPECT_EQ(hit.version, "v1");
    EXPECT_EQ(hit.key, miss.key);
    EXPECT_EQ(hit.age_ms, 3000);
    EXPECT_EQ(hit.created_ms, miss.created_ms);
    EXPECT_TRUE(hit.stored);
  }
  EXPECT_EQ(source_.runs(), 1);

  const QueryStats stats = queries_->stats();
  EXPECT_EQ(stats.hits, 2u);
  EXPECT_EQ(stats.misses, 1u);
  EXPECT_EQ(stats.shared + stats.errors + stats.running + stats.waiting, 0u);
  EXPECT_EQ(stats.saved_ms, 2 * 830);
}

TEST_F(QueryCacheTest, KnowsAStatementHoweverItIsWritten) {
  (void)fetch(ask("select 1")).value();
  EXPECT_EQ(lookup(ask("SELECT   1")), std::nullopt) << "never seen, so it would have to be planned";
  EXPECT_EQ(fetch(ask("SELECT   1"))->outcome, Outcome::kHit);
  EXPECT_EQ(lookup(ask("SELECT   1"))->outcome, Outcome::kHit);
  EXPECT_EQ(source_.runs(), 1);
  EXPECT_EQ(source_.plans(), 2);
}

TEST_F(QueryCacheTest, TellsParametersOfDifferentTypesApart) {
  const std::vector<sources::Param> params = {std::monostate{}, true, std::int64_t{1}, 1.0, std::string("1")};
  for (int round = 0; round < 2; ++round)
    for (std::size_t i = 0; i < params.size(); ++i) {
      Ask one = ask("select $1");
      one.question.params = {params[i]};
      EXPECT_EQ(fetch(one)->arrow(), "select $1#" + std::to_string(i + 1));
    }
}

TEST_F(QueryCacheTest, TellsScopesAndSourcesApart) {
  Ask eu = ask("select 1"), us = ask("select 1"), other = ask("select 1");
  eu.scope = "region = 'eu'";
  us.scope = "region = 'us'";
  other.question.source = "t";
  EXPECT_EQ(fetch(ask("select 1"))->arrow(), "select 1#1");
  EXPECT_EQ(fetch(eu)->arrow(), "select 1#2");
  EXPECT_EQ(fetch(us)->arrow(), "select 1#3");
  EXPECT_EQ(fetch(other)->arrow(), "select 1#4");
  EXPECT_EQ(lookup(eu)->arrow(), "select 1#2");
  EXPECT_EQ(lookup(us)->arrow(), "select 1#3");
}

TEST_F(QueryCacheTest, AsksAnewWhenTheDataChanges) {
  (void)fetch(ask("select 1")).value();
  source_.change_to("v2");
  EXPECT_EQ(lookup(ask("select 1")), std::nullopt);
  const Reply reply = fetch(ask("select 1")).value();
  EXPECT_EQ(reply.arrow(), "select 1#2");
  EXPECT_EQ(reply.version, "v2");
  source_.change_to("v1");  // and the old answer is true again
  EXPECT_EQ(lookup(ask("select 1"))->arrow(), "select 1#1");
}

TEST_F(QueryCacheTest, SharesWhatAnEarlierProcessLeft) {
  (void)fetch(ask("select 1")).value();
  close();
  open();
  EXPECT_EQ(fetch(ask("select 1"))->outcome, Outcome::kHit);
  EXPECT_EQ(source_.runs(), 1);
}

TEST_F(QueryCacheTest, SharesWithAProcessBesideIt) {
  const pid_t child = fork();
  if (child == 0) {
    close();
    open();
    const Result<Reply> reply = fetch(ask("select 1"));
    _exit(reply.ok() && reply->outcome == Outcome::kMiss && reply->stored ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(fetch(ask("select 1"))->outcome, Outcome::kHit);
  EXPECT_EQ(source_.runs(), 0);
}

TEST_F(QueryCacheTest, PutsARightAnswerInPlaceOfADamagedOne) {
  const std::string key = fetch(ask("select 1"))->key;
  std::string value(cache_->get(key)->bytes());
  ++value[20];
  ASSERT_TRUE(cache_->set(key, value).ok());
  EXPECT_EQ(lookup(ask("select 1")), std::nullopt);
  EXPECT_EQ(fetch(ask("select 1"))->arrow(), "select 1#2");
  EXPECT_EQ(lookup(ask("select 1"))->arrow(), "select 1#2");
}

TEST_F(QueryCacheTest, GivesErrorsOfThePlan) {
  EXPECT_EQ(fetch(ask("bad")).error().message, "no such statement");
  EXPECT_EQ(fetch(ask("bad")).error().code, Code::kInvalid);
  EXPECT_EQ(queries_->stats().errors, 2u);
  EXPECT_EQ(source_.runs(), 0);
}

TEST_F(QueryCacheTest, DescribesWhatItKept) {
  source_.take_ms(clock_, 12);
  Ask one = ask("select $1");
  one.question.params = {std::int64_t{1}, std::string("x")};
  const Reply reply = fetch(one).value();
  const std::optional<EntryMeta> meta = describe(reply.key, cache_->get(reply.key)->bytes());
  ASSERT_TRUE(meta);
  EXPECT_EQ(meta->sql, "select $1");
  EXPECT_EQ(meta->params_json, R"([1,"x"])");
  EXPECT_EQ(meta->reads, std::vector<std::string>{"t"});
  EXPECT_EQ(meta->version, "v1");
  EXPECT_EQ(meta->rows, 7u);
  EXPECT_EQ(meta->cost_ms, 12);
  EXPECT_EQ(meta->created_ms, clock_.now_ms());
}

// --- How old an answer may be ---

TEST_F(QueryCacheTest, TakesNothingOlderThanAskedFor) {
  (void)fetch(ask("select 1")).value();
  clock_.advance_ms(5000);
  EXPECT_EQ(lookup(ask("select 1", 5000))->arrow(), "select 1#1");
  EXPECT_EQ(lookup(ask("select 1", 4999)), std::nullopt);
  EXPECT_EQ(fetch(ask("select 1", 4999))->arrow(), "select 1#2");
  EXPECT_EQ(lookup(ask("select 1"))->arrow(), "select 1#2") << "the young one took the old one's place";
}

TEST_F(QueryCacheTest, AsksAnewForZero) {
  (void)fetch(ask("select 1")).value();
  EXPECT_EQ(lookup(ask("select 1", 0)), std::nullopt);
  EXPECT_EQ(fetch(ask("select 1", 0))->arrow(), "select 1#2");
  EXPECT_EQ(lookup(ask("select 1"))->arrow(), "select 1#2");
}

TEST_F(QueryCacheTest, DoesNotTrustTheAgeOfAnAnswerFromTheFuture) {
  (void)fetch(ask("select 1")).value();
  clock_.step_ms(-60'000);
  EXPECT_EQ(lookup(ask("select 1", 5000)), std::nullopt);
  EXPECT_EQ(lookup(ask("select 1"))->age_ms, 0);
}

TEST_F(QueryCacheTest, ZeroWaitsForAFlightOfItsOwnTime) {
  source_.hold();
  auto early = fetch_beside(ask("select 1"));
  source_.wait_for_runs(1);
  auto anew = fetch_beside(ask("select 1", 0));
  auto anew_too = fetch_beside(ask("select 1", 0));
  wait_until_waiting(2);
  source_.let_go();
  EXPECT_EQ(early.get()->arrow(), "select 1#1");
  EXPECT_EQ(anew.get()->arrow(), "select 1#2") << "the first may have read before this caller came";
  EXPECT_EQ(anew_too.get()->arrow(), "select 1#2") << "but one run serves both";
  EXPECT_EQ(source_.runs(), 2);
}

// --- One flight for all ---

TEST_F(QueryCacheTest, AsksOnceForAllWhoAskAtOnce) {
  source_.hold();
  std::vector<std::future<Result<Reply>>> callers;
  for (int i = 0; i < 8; ++i) callers.push_back(fetch_beside(ask("select 1")));
  source_.wait_for_runs(1);
  wait_until_waiting(7);
  EXPECT_EQ(queries_->stats().running, 1u);
  source_.let_go();
  int missed = 0, shared = 0;
  for (auto& caller : callers) {
    const Reply reply = caller.get().value();
    EXPECT_EQ(reply.arrow(), "select 1#1");
    EXPECT_TRUE(reply.stored);
    missed += reply.outcome == Outcome::kMiss;
    shared += reply.outcome == Outcome::kShared;
  }
  EXPECT_EQ(missed, 1);
  EXPECT_EQ(shared, 7);
  EXPECT_EQ(source_.runs(), 1);
  EXPECT_EQ(queries_->stats().shared, 7u);
  EXPECT_EQ(queries_->stats().running, 0u);
}

TEST_F(QueryCacheTest, LetsOthersFlyBeside) {
  source_.hold();
  auto one = fetch_beside(ask("select 1"));
  auto two = fetch_beside(ask("select 2"));
  source_.wait_for_runs(2);
  source_.let_go();
  EXPECT_THAT(std::string(one.get()->arrow()), HasSubstr("select 1#"));
  EXPECT_THAT(std::string(two.get()->arrow()), HasSubstr("select 2#"));
}

TEST_F(QueryCacheTest, HandsOverWhenTheOneWhoAsksGoes) {
  source_.hold();
  Cancel gone;
  auto first = fetch_beside(ask("select 1"), {}, gone);
  source_.wait_for_runs(1);
  std::vector<std::future<Result<Reply>>> others;
  for (int i = 0; i < 4; ++i) others.push_back(fetch_beside(ask("select 1")));
  wait_until_waiting(4);
  gone.cancel();
  EXPECT_EQ(first.get().error().code, Code::kCancelled);
  source_.wait_for_runs(2);
  wait_until_waiting(3);
  source_.let_go();
  for (auto& other : others) EXPECT_EQ(other.get()->arrow(), "select 1#2");
  EXPECT_EQ(source_.runs(), 2);
}

TEST_F(QueryCacheTest, LetsOneWhoWaitsGoAlone) {
  source_.hold();
  auto first = fetch_beside(ask("select 1"));
  source_.wait_for_runs(1);
  Cancel gone;
  auto second = fetch_beside(ask("select 1"), {}, gone);
  wait_until_waiting(1);
  gone.cancel();
  EXPECT_EQ(second.get().error().code, Code::kCancelled);
  source_.let_go();
  EXPECT_EQ(first.get()->arrow(), "select 1#1");
}

TEST_F(QueryCacheTest, LetsOneWhoHadGoneBeforeHeCameGo) {
  source_.hold();
  auto first = fetch_beside(ask("select 1"));
  source_.wait_for_runs(1);
  Cancel gone;
  gone.cancel();
  EXPECT_EQ(fetch(ask("select 1"), {}, gone).error().code, Code::kCancelled);
  source_.let_go();
  EXPECT_EQ(first.get()->arrow(), "select 1#1");
}

TEST_F(QueryCacheTest, WaitsNoLongerThanTheCallerWill) {
  QueryCache timed(*cache_, source_, {});  // on the machine's clock: the wait is a real one
  source_.hold();
  auto first = std::async(std::launch::async, [&] { return timed.fetch(ask("select 1"), {}, {}); });
  source_.wait_for_runs(1);
  EXPECT_EQ(timed.fetch(ask("select 1"), {.timeout_ms = 5}, {}).error().code, Code::kTimeout);
  source_.let_go();
  EXPECT_EQ(first.get()->arrow(), "select 1#1");
}

TEST_F(QueryCacheTest, SharesAnErrorButDoesNotKeepIt) {
  source_.hold();
  source_.fail_with({Code::kUnavailable, "down"});
  auto first = fetch_beside(ask("select 1"));
  source_.wait_for_runs(1);
  auto second = fetch_beside(ask("select 1"));
  wait_until_waiting(1);
  source_.let_go();
  EXPECT_EQ(first.get().error().message, "down");
  EXPECT_EQ(second.get().error().message, "down");
  EXPECT_EQ(source_.runs(), 1);
  EXPECT_EQ(queries_->stats().errors, 2u);
  source_.fail_with({Code::kInternal, ""});
  EXPECT_EQ(fetch(ask("select 1"))->arrow(), "select 1#2");
}

TEST_F(QueryCacheTest, DoesNotShareAnErrorOfNarrowerLimits) {
  source_.hold();
  source_.answer_rows(100);
  auto narrow = fetch_beside(ask("select 1"), {.rows_max = 10});
  source_.wait_for_runs(1);
  auto as_narrow = fetch_beside(ask("select 1"), {.rows_max = 10});
  auto wide = fetch_beside(ask("select 1"), {.rows_max = 1000});
  auto unlimited = fetch_beside(ask("select 1"));
  wait_until_waiting(3);
  source_.let_go();
  EXPECT_EQ(narrow.get().error().code, Code::kTooLarge);
  EXPECT_EQ(as_narrow.get().error().code, Code::kTooLarge);
  EXPECT_EQ(wide.get()->arrow(), "select 1#2");
  EXPECT_EQ(unlimited.get()->arrow(), "select 1#2");
}

TEST_F(QueryCacheTest, DoesNotShareATimeoutWithThosePatientEnough) {
  source_.hold();
  source_.fail_with({Code::kTimeout, "too slow"});
  auto hasty = fetch_beside(ask("select 1"), {.timeout_ms = 1000});
  source_.wait_for_runs(1);
  auto as_hasty = fetch_beside(ask("select 1"), {.timeout_ms = 1000});
  auto patient = fetch_beside(ask("select 1"), {.timeout_ms = 3'600'000});
  wait_until_waiting(2);
  source_.let_go();
  EXPECT_EQ(hasty.get().error().code, Code::kTimeout);
  EXPECT_EQ(as_hasty.get().error().code, Code::kTimeout);
  EXPECT_EQ(patient.get().error().code, Code::kTimeout);
  EXPECT_EQ(source_.runs(), 2) << "the patient one tried for itself";
}

// --- What is not kept ---

TEST_F(QueryCacheTest, NeitherKeepsNorSharesWhatCannotBeRepeated) {
  source_.hold();
  auto first = fetch_beside(ask("select random()"));
  auto second = fetch_beside(ask("select random()"));
  source_.wait_for_runs(2);
  source_.let_go();
  EXPECT_NE(first.get()->arrow(), second.get()->arrow());
  const Reply third = fetch(ask("select random()")).value();
  EXPECT_EQ(third.outcome, Outcome::kMiss);
  EXPECT_FALSE(third.stored);
  EXPECT_EQ(third.not_stored, "not-repeatable");
  EXPECT_EQ(third.key, "");
  EXPECT_EQ(third.arrow(), "select random()#3");
  EXPECT_EQ(lookup(ask("select random()")), std::nullopt);
}

TEST_F(QueryCacheTest, GivesWhatIsTooLargeWithoutKeepingIt) {
  source_.answer_bytes(cache_->value_bytes_max() + 1);
  const Reply reply = fetch(ask("select 1")).value();
  EXPECT_EQ(reply.arrow().size(), cache_->value_bytes_max() + 1);
  EXPECT_EQ(reply.not_stored, "too-large");
  EXPECT_FALSE(reply.stored);
  EXPECT_EQ(lookup(ask("select 1")), std::nullopt);
  EXPECT_EQ(fetch(ask("select 1"))->outcome, Outcome::kMiss);
}

TEST_F(QueryCacheTest, KeepsAnAnswerUnderTheVersionThatItRead) {
  source_.hold();
  auto asked_of_v1 = fetch_beside(ask("select 1"));
  source_.wait_for_runs(1);
  source_.change_to("v2");  // before the source reads
  source_.let_go();
  const Reply reply = asked_of_v1.get().value();
  EXPECT_EQ(reply.version, "v2");
  EXPECT_TRUE(reply.stored);
  EXPECT_EQ(lookup(ask("select 1"))->arrow(), "select 1#1");
  source_.change_to("v1");
  EXPECT_EQ(lookup(ask("select 1")), std::nullopt) << "nothing was read of v1";
}

TEST_F(QueryCacheTest, DoesNotKeepAnAnswerThatIsPastAlready) {
  source_.change_after_the_run_to("v2");
  const Reply reply = fetch(ask("select 1")).value();
  EXPECT_EQ(reply.arrow(), "select 1#1");
  EXPECT_EQ(reply.version, "v1");
  EXPECT_EQ(reply.not_stored, "changed-meanwhile");
  EXPECT_EQ(fetch(ask("select 1"))->arrow(), "select 1#2");
}

TEST_F(QueryCacheTest, AnswersWithAStoreThatMayNotBeWritten) {
  close();
  open({.read_only = true});
  const Reply reply = fetch(ask("select 1")).value();
  EXPECT_EQ(reply.arrow(), "select 1#1");
  EXPECT_EQ(reply.not_stored, "read-only");
}

TEST_F(QueryCacheTest, ServesAHitWhateverTheLimits) {
  source_.answer_rows(100);
  (void)fetch(ask("select 1")).value();
  EXPECT_EQ(fetch(ask("select 1"), {.rows_max = 10})->outcome, Outcome::kHit);
}

// --- All at once ---

TEST_F(QueryCacheTest, StaysRightUnderThreadsAndChanges) {
  std::vector<std::future<int>> threads;
  for (int t = 0; t < 4; ++t)
    threads.push_back(std::async(std::launch::async, [this, t] {
      int wrong = 0;
      for (int i = 0; i < 300; ++i) {
        const std::string sql = "select " + std::to_string(i * 7 % 5);
        if (t == 0 && i % 10 == 0) source_.change_to("v" + std::to_string(i));
        const Ask question = ask(sql, i % 11 == 0 ? std::optional<std::int64_t>(0) : std::nullopt);
        std::optional<Reply> reply = lookup(question);
        Cancel cancel;
        if (i % 13 == 0) cancel.cancel();
        if (!reply) {
          Result<Reply> fetched = fetch(question, {}, cancel);
          if (!fetched.ok()) {
            wrong += fetched.error().code != Code::kCancelled;
            continue;
          }
          reply = *std::move(fetched);
        }
        wrong += reply->arrow().substr(0, sql.size() + 1) != sql + "#";
      }
      return wrong;
    }));
  for (auto& thread : threads) EXPECT_EQ(thread.get(), 0);
  EXPECT_EQ(queries_->stats().running, 0u);
  EXPECT_EQ(queries_->stats().waiting, 0u);
}

}  // namespace
}  // namespace larder::query
