// The way of a question: its plan from memory, the version of its data by a stat, both into one hash, and the hash is
// the key. Nothing is ever invalidated: data that changes changes the key, and what cannot be found any more goes by
// eviction. A table of "which answers read which file" lost: it must be right in every process at once, and a hash
// needs nobody.
//
// docs/design/query-cache.md tells about freshness and flights.
#include "query/query_cache.h"

#include <algorithm>
#include <atomic>

#include "base/try.h"
#include "query/entry.h"
#include "query/fingerprint.h"
#include "query/flights.h"
#include "query/plans.h"

namespace larder::query {
namespace {

constexpr std::size_t kPlanBytesMax = std::size_t{64} << 20;
constexpr std::int64_t kTimeoutMsMax = std::int64_t{1000} * 3600 * 24 * 365;  // keeps nanoseconds in 64 bits

// A limit where 0 is none.
template <typename T>
bool wider(T mine, T theirs) {
  return theirs != 0 && (mine == 0 || mine > theirs);
}

// Counts one more for as long as it lives.
class Counted {
 public:
  explicit Counted(std::atomic<std::uint64_t>& count) : count_(count) { ++count_; }
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  std::atomic<std::uint64_t>& count_;
};

// How long a caller is willing to wait.
class Patience {
 public:
  Patience(const Clock& clock, std::int64_t timeout_ms) : clock_(clock) {
    if (timeout_ms > 0) deadline_ns_ = clock.steady_ns() + std::min(timeout_ms, kTimeoutMsMax) * 1'000'000;
  }
  std::int64_t deadline_ns() const { return deadline_ns_; }  // 0: none
  // Milliseconds as Limits has them: 0 is for ever, so what is over is the least there is.
  std::int64_t left_ms() const {
    if (deadline_ns_ == 0) return 0;
    return std::max<std::int64_t>(1, (deadline_ns_ - clock_.steady_ns() + 999'999) / 1'000'000);
  }

 private:
  const Clock& clock_;
  std::int64_t deadline_ns_ = 0;
};

bool anew(const Ask& ask) { return ask.max_age_ms == 0; }

}  // namespace

std::string_view Reply::arrow() const {
  const auto* pin = std::get_if<Pin>(&bytes);
  std::string_view whole = pin ? pin->bytes() : std::string_view(*std::get<0>(bytes));
  return whole.substr(offset);
}

class QueryCache::Impl {
 public:
  Impl(Cache& cache, sources::Source& source, const Options& options)
      : cache_(cache),
        source_(source),
        clock_(options.clock ? *options.clock : system_clock()),
        plans_(options.plans_max, kPlanBytesMax) {}

  Result<std::optional<Reply>> lookup(const Ask& ask) {
    if (anew(ask)) return std::optional<Reply>();
    const auto plan = plans_.find(ask.question.source, ask.question.sql);
    if (!plan || !plan->repeatable) return std::optional<Reply>();
    std::string version = TRY(source_.version(*plan));
    std::string key = fingerprint(ask, plan->normal_sql, version);
    return find(ask, std::move(key), std::move(version));
  }

  Result<Reply> fetch(const Ask& ask, const sources::Limits& limits, const Cancel& cancel) {
    Result<Reply> reply = answer(ask, limits, cancel);
    if (!reply.ok()) ++errors_;
    return reply;
  }

  QueryStats stats() const {
    return {.hits = hits_,
            .misses = misses_,
            .shared = shared_,
            .errors = errors_,
            .running = running_,
            .waiting = flights_.waiting(),
            .saved_ms = saved_ms_};
  }

 private:
  using Flight = Flights::Flight;

  Result<Reply> answer(const Ask& ask, sources::Limits limits, const Cancel& cancel) {
    const Patience patience(clock_, limits.timeout_ms);
    const std::uint64_t arrival = flights_.taken_off();
    const std::shared_ptr<const sources::Plan> plan = TRY(plan_of(ask.question));
    if (!plan->repeatable) {  // two callers may want two answers: nothing is shared
      limits.timeout_ms = patience.left_ms();
      return reply_with(TRY(run(ask, *plan, limits, cancel)), Outcome::kMiss);
    }
    std::shared_ptr<Flight> previous;
    for (;;) {
      std::string version = TRY(source_.version(*plan));
      const std::string key = fingerprint(ask, plan->normal_sql, version);
      if (std::optional<Reply> hit = find(ask, key, version)) return *std::move(hit);
      limits.timeout_ms = patience.left_ms();
      const Flights::Ticket ticket = flights_.take(key, limits, previous);
      if (ticket.flies) {
        // Another flight may have landed between the look and the ticket.
        if (std::optional<Reply> hit = find(ask, key, version)) {
          flights_.land(ticket.flight, std::nullopt);
          return *std::move(hit);
        }
        return fly(ticket.flight, ask, *plan, limits, cancel);
      }
      TRY(flights_.wait(*ticket.flight, clock_, patience.deadline_ns(), cancel));
      if (serves(*ticket.flight, ask, limits, patience, arrival)) {
        const Result<Cargo>& brought = *ticket.flight->brought();
        if (!brought.ok()) return brought.error();
        ++shared_;
        return reply_with(*brought, Outcome::kShared);
      }
      previous = ticket.flight;
    }
  }

  Result<std::shared_ptr<const sources::Plan>> plan_of(const sources::Question& question) {
    if (auto known = plans_.find(question.source, question.sql)) return known;
    auto plan = std::make_shared<const sources::Plan>(TRY(source_.plan(question)));
    plans_.keep(question.source, question.sql, plan);
    return plan;
  }

  // What the cache has, when it is as young as was asked for.
  std::optional<Reply> find(const Ask& ask, std::string key, std::string version) {
    if (anew(ask)) return std::nullopt;
    std::optional<Pin> pin = cache_.get(key);
    if (!pin) return std::nullopt;
    const std::optional<EntryFacts> facts = read_entry(pin->bytes());
    if (!facts) return std::nullopt;  // somebody else's bytes, or damaged: the next answer takes its place
    const std::int64_t age_ms = clock_.now_ms() - facts->created_ms;
    // Of an entry from the future (a clock was set back) nobody knows the age: it will not do where age matters.
    if (ask.max_age_ms && (age_ms > *ask.max_age_ms || age_ms < 0)) return std::nullopt;
    ++hits_;
    saved_ms_ += facts->cost_ms;
    return Reply{.outcome = Outcome::kHit,
                 .stored = true,
                 .not_stored = {},
                 .key = std::move(key),
                 .rows = facts->rows,
                 .created_ms = facts->created_ms,
                 .age_ms = std::max<std::int64_t>(0, age_ms),
                 .cost_ms = facts->cost_ms,
                 .version = std::move(version),
                 .bytes = *std::move(pin),
                 .offset = facts->stream_offset};
  }

  // Asks the source for everybody who waits on this flight.
  Result<Reply> fly(const std::shared_ptr<Flight>& flight, const Ask& ask, const sources::Plan& plan,
                    const sources::Limits& limits, const Cancel& cancel) {
    Result<Cargo> brought = run(ask, plan, limits, cancel);
    if (!brought.ok() && brought.error().code == Code::kCancelled && cancel.cancelled()) {
      flights_.land(flight, std::nullopt);
      return std::move(brought).error();
    }
    flights_.land(flight, std::move(brought));
    const Result<Cargo>& landed = *flight->brought();
    if (!landed.ok()) return landed.error();
    return reply_with(*landed, Outcome::kMiss);
  }

  // Whether what a flight brought is this caller's answer, too.
  bool serves(const Flight& flight, const Ask& ask, const sources::Limits& limits, const Patience& patience,
              std::uint64_t arrival) const {
    if (!flight.brought()) return false;
    if (anew(ask) && flight.number() <= arrival) return false;  // it may have read its data before this caller came
    if (flight.brought()->ok()) return true;
    // An error of limits narrower than this caller's own says nothing about his question.
    const Code code = flight.brought()->error().code;
    const sources::Limits& theirs = flight.limits();
    if (code == Code::kTimeout) return !wider(patience.left_ms(), theirs.timeout_ms);
    if (code == Code::kTooLarge)
      return !wider(limits.rows_max, theirs.rows_max) && !wider(limits.bytes_max, theirs.bytes_max);
    return true;
  }

  // Asks the source and keeps its answer.
  Result<Cargo> run(const Ask& ask, const sources::Plan& plan, const sources::Limits& limits, const Cancel& cancel) {
    const Counted counted(running_);
    const std::int64_t start_ns = clock_.steady_ns();
    sources::Answer answer = TRY(source_.run(ask.question, plan, limits, cancel));
    ++misses_;
    Cargo cargo;
    cargo.rows = answer.rows;
    cargo.created_ms = clock_.now_ms();
    cargo.cost_ms = static_cast<double>(clock_.steady_ns() - start_ns) / 1e6;
    cargo.version = answer.version;
    if (plan.repeatable) cargo.key = fingerprint(ask, plan.normal_sql, answer.version);
    keep(ask, plan, std::move(answer.arrow), cargo);
    return cargo;
  }

  // Stores the answer, if it may be and can be, and puts its bytes into `cargo` either way.
  void keep(const Ask& ask, const sources::Plan& plan, std::string&& arrow, Cargo& cargo) {
    cargo.not_stored = why_not(plan, cargo);
    if (cargo.not_stored.empty()) {
      std::string value = entry_head({.sql = ask.question.sql,
                                      .params_json = params_json(ask.question.params),
                                      .source = ask.question.source,
                                      .reads = plan.reads,
                                      .version = cargo.version,
                                      .rows = cargo.rows,
                                      .created_ms = cargo.created_ms,
                                      .cost_ms = cargo.cost_ms},
                                     arrow.size());
      if (value.size() + arrow.size() <= cache_.value_bytes_max()) {
        cargo.stream_offset = value.size();
        value += arrow;
        cargo.not_stored = store(cargo.key, value);
        arrow = std::move(value);
      } else {
        cargo.not_stored = "too-large";
      }
    }
    cargo.stored = cargo.not_stored.empty();
    cargo.bytes = std::make_shared<const std::string>(std::move(arrow));
  }

  std::string why_not(const sources::Plan& plan, const Cargo& cargo) {
    if (!plan.repeatable) return "not-repeatable";
    // An answer about data that is no more is true for what it says, but nobody would ever find it again.
    const Result<std::string> now = source_.version(plan);
    return now.ok() && *now == cargo.version ? "" : "changed-meanwhile";
  }

  // Empty, or why it could not be stored: the answer is good without.
  std::string store(const std::string& key, const std::string& value) {
    const Status status = cache_.set(key, value);
    if (status.ok()) return "";
    switch (status.error().code) {
      case Code::kNoSpace:
        return "no-space";
      case Code::kTooLarge:
        return "too-large";
      case Code::kDenied:
        return "read-only";
      default:
        return "store-error";
    }
  }

  Reply reply_with(const Cargo& cargo, Outcome outcome) const {
    return Reply{.outcome = outcome,
                 .stored = cargo.stored,
                 .not_stored = cargo.not_stored,
                 .key = cargo.key,
                 .rows = cargo.rows,
                 .created_ms = cargo.created_ms,
                 .age_ms = std::max<std::int64_t>(0, clock_.now_ms() - cargo.created_ms),
                 .cost_ms = cargo.cost_ms,
                 .version = cargo.version,
                 .bytes = cargo.bytes,
                 .offset = cargo.stream_offset};
  }

  // Set at construction.
  Cache& cache_;
  sources::Source& source_;
  const Clock& clock_;
  // Any thread.
  Plans plans_;
  Flights flights_;
  std::atomic<std::uint64_t> hits_ = 0;
  std::atomic<std::uint64_t> misses_ = 0;
  std::atomic<std::uint64_t> shared_ = 0;
  std::atomic<std::uint64_t> errors_ = 0;
  std::atomic<std::uint64_t> running_ = 0;
  std::atomic<double> saved_ms_ = 0;
};

QueryCache::QueryCache(Cache& cache, sources::Source& source, const Options& options)
    : impl_(std::make_unique<Impl>(cache, source, options)) {}
QueryCache::~QueryCache() = default;

Result<std::optional<Reply>> QueryCache::lookup(const Ask& ask) { return impl_->lookup(ask); }

Result<Reply> QueryCache::fetch(const Ask& ask, const sources::Limits& limits, const Cancel& cancel) {
  return impl_->fetch(ask, limits, cancel);
}

QueryStats QueryCache::stats() const { return impl_->stats(); }

}  // namespace larder::query
