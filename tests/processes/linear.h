// Whether a history of calls on one key could have happened one after another: each at some moment between its
// invocation and its response, with the answers that were given.
//
// The search of Wing and Gong, with Lowe's memory of where it has been: take any call that nothing completed before it
// forbids, and go back when the model's answer is not the one that was given. Calls whose process died have no
// response: they may have happened, at any later moment, or not at all.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace larder {

enum class Call : std::uint8_t { kGet, kSet, kAdd, kDel, kIncr, kReplace, kCas, kPop };

// A value is a number; none: the key is absent.
using Value = std::optional<std::int64_t>;

struct Event {
  Call call = Call::kGet;
  std::int64_t argument = 0;  // what is set, or added to the number
  Value expected;             // kCas: what must be there
  Value answer;               // kGet, kPop: what was there; kIncr: the sum; others: 1 or 0 for true or false
  std::int64_t invoked_ns = 0;
  std::int64_t responded_ns = 0;  // 0: never
};

// What a call answers and leaves, one at a time: the whole specification.
inline std::pair<Value, Value> happen(const Event& event, const Value& now) {
  const auto truth = [](bool is) { return Value(is ? 1 : 0); };
  switch (event.call) {
    case Call::kGet:
      return {now, now};
    case Call::kSet:
      return {truth(true), event.argument};
    case Call::kAdd:
      return {truth(!now), now ? now : event.argument};
    case Call::kDel:
      return {truth(now.has_value()), std::nullopt};
    case Call::kIncr:
      return {now.value_or(0) + event.argument, now.value_or(0) + event.argument};
    case Call::kReplace:
      return {truth(now.has_value()), now ? Value(event.argument) : now};
    case Call::kCas:
      return {truth(now == event.expected), now == event.expected ? Value(event.argument) : now};
    case Call::kPop:
      return {now, std::nullopt};
  }
  return {};
}

inline std::string text(const Value& value) { return value ? std::to_string(*value) : "-"; }
inline std::string text(const Event& event) {
  constexpr const char* kNames[] = {"get", "set", "add", "del", "incr", "replace", "cas", "pop"};
  return std::string(kNames[static_cast<int>(event.call)]) + " " + std::to_string(event.argument) + " (" +
         text(event.expected) + ") = " + (event.responded_ns == 0 ? "?" : text(event.answer)) + " [" +
         std::to_string(event.invoked_ns) + ", " + std::to_string(event.responded_ns) + "]";
}

// Empty: it could. Else the calls around the place beyond which no order leads.
inline std::string why_not_linear(const std::vector<Event>& history, Value start = std::nullopt) {
  // Moments in a list: a call's invocation, then its response when it has one. Calls that are put in order leave it.
  struct Moment {
    std::size_t call;
    bool response;
    std::int64_t at_ns;
    std::size_t next = 0;
    std::size_t before = 0;
  };
  std::vector<Moment> moments{{0, false, 0}};  // the list's head
  std::size_t answered = 0;
  for (std::size_t i = 0; i < history.size(); ++i) {
    moments.push_back({i, false, history[i].invoked_ns});
    if (history[i].responded_ns == 0) continue;
    moments.push_back({i, true, history[i].responded_ns});
    ++answered;
  }
  // At one nanosecond invocations come first: then the calls overlap.
  std::sort(moments.begin() + 1, moments.end(), [](const Moment& a, const Moment& b) {
    return std::tie(a.at_ns, a.response) < std::tie(b.at_ns, b.response);
  });
  std::vector<std::size_t> response_of(history.size(), 0);
  std::vector<std::size_t> invocation_of(history.size(), 0);
  for (std::size_t i = 0; i < moments.size(); ++i) {
    moments[i].next = i + 1 < moments.size() ? i + 1 : 0;
    moments[i].before = i - 1;
    if (i > 0) (moments[i].response ? response_of : invocation_of)[moments[i].call] = i;
  }
  const auto take_out = [&](std::size_t i) {
    moments[moments[i].before].next = moments[i].next;
    if (moments[i].next != 0) moments[moments[i].next].before = moments[i].before;
  };
  const auto put_back = [&](std::size_t i) {
    moments[moments[i].before].next = i;
    if (moments[i].next != 0) moments[moments[i].next].before = i;
  };

  std::mt19937_64 random(1);
  std::vector<std::uint64_t> print_of(history.size());
  for (std::uint64_t& print : print_of) print = random();
  std::set<std::tuple<std::uint64_t, Value>> been;  // which calls are in order, as the sum of their prints; the value
  std::uint64_t prints = 0;
  Value now = start;
  std::vector<std::pair<std::size_t, Value>> order;  // the invocation's moment, the value before
  std::size_t ordered = 0;                           // of the answered ones
  std::size_t furthest = 0;
  for (std::size_t at = moments[0].next; ordered < answered;) {
    if (at != 0 && !moments[at].response) {
      const Event& event = history[moments[at].call];
      const auto [answer, after] = happen(event, now);
      const bool possible = event.responded_ns == 0 || answer == event.answer;
      if (possible && been.emplace(prints ^ print_of[moments[at].call], after).second) {
        order.emplace_back(at, now);
        now = after;
        prints ^= print_of[moments[at].call];
        take_out(at);
        if (event.responded_ns != 0) {
          take_out(response_of[moments[at].call]);
          ++ordered;
        }
        at = moments[0].next;
      } else {
        at = moments[at].next;
      }
      continue;
    }
    // A response, or the end: somebody before it must be put in order elsewhere.
    if (at != 0) furthest = std::max(furthest, at);
    if (order.empty()) {
      std::string around = "no order of the calls up to here leads to these answers:\n";
      const std::int64_t from = history[moments[furthest].call].invoked_ns - 50'000;
      for (const Moment& moment : moments) {
        if (&moment == moments.data() || moment.response || moment.at_ns > moments[furthest].at_ns) continue;
        const Event& event = history[moment.call];
        if (event.responded_ns == 0 || event.responded_ns >= from) around += "  " + text(event) + "\n";
      }
      return around.substr(0, 6000);
    }
    at = order.back().first;
    now = order.back().second;
    order.pop_back();
    prints ^= print_of[moments[at].call];
    if (history[moments[at].call].responded_ns != 0) {
      put_back(response_of[moments[at].call]);
      --ordered;
    }
    put_back(at);
    at = moments[at].next;
  }
  return {};
}

}  // namespace larder
