// One run of a question for all who ask it at once. The first to come flies; the others wait for what it brings home.
//
//   Flights::Ticket ticket = flights.take(key, limits, nullptr);
//   if (ticket.flies) flights.land(ticket.flight, run());
//   else              flights.wait(*ticket.flight, ...);
#pragma once

#include <larder/result.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "query/query_cache.h"

namespace larder::query {

// An answer fresh from the source, shared by all who waited for it. As Reply has them.
struct Cargo {
  std::shared_ptr<const std::string> bytes;
  std::size_t stream_offset = 0;
  bool stored = false;
  std::string not_stored;
  std::string key;
  std::uint64_t rows = 0;
  std::int64_t created_ms = 0;
  double cost_ms = 0;
  std::string version;
};

class Flights {
 public:
  class Flight;

  struct Ticket {
    std::shared_ptr<Flight> flight;
    bool flies = false;  // the caller must land it, whatever happens; else he may wait for it
  };

  // The open flight for this key, or a new one. Who waited for `previous` in vain names it and gets the one that took
  // its place, even when that has landed meanwhile.
  Ticket take(const std::string& key, const sources::Limits& limits, const std::shared_ptr<Flight>& previous)
      LARDER_EXCLUDES(mutex_);

  // Ends the flight with what it brought, or with nothing (nullopt): the one who flew gave up, somebody else may try.
  void land(const std::shared_ptr<Flight>& flight, std::optional<Result<Cargo>> brought) LARDER_EXCLUDES(mutex_);

  // Until it has landed, the deadline (of clock.steady_ns(); 0: none) has passed (kTimeout) or the caller has gone
  // (kCancelled).
  Status wait(Flight& flight, const Clock& clock, std::int64_t deadline_ns, const Cancel& cancel)
      LARDER_EXCLUDES(mutex_);

  // Flights are numbered as they take off; this is the last number given.
  std::uint64_t taken_off() const LARDER_EXCLUDES(mutex_);
  // How many wait now, over all flights.
  std::uint64_t waiting() const LARDER_EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Flight>> open_ LARDER_GUARDED_BY(mutex_);
  std::uint64_t taken_off_ LARDER_GUARDED_BY(mutex_) = 0;
  std::uint64_t waiting_ LARDER_GUARDED_BY(mutex_) = 0;
};

class Flights::Flight {
 public:
  Flight(std::string key, const sources::Limits& limits, std::uint64_t number)
      : key_(std::move(key)), limits_(limits), number_(number) {}

  const std::string& key() const { return key_; }
  const sources::Limits& limits() const { return limits_; }  // of the one who flies
  std::uint64_t number() const { return number_; }
  // Only after wait() was ok. nullopt: the one who flew gave up.
  const std::optional<Result<Cargo>>& brought() const { return brought_; }

 private:
  friend class Flights;

  // Set at construction.
  const std::string key_;
  const sources::Limits limits_;
  const std::uint64_t number_;
  // Guarded by the mutex of Flights; brought_ does not change once landed_ is seen.
  Condition landing_;
  bool landed_ = false;
  std::optional<Result<Cargo>> brought_;
  std::shared_ptr<Flight> next_;
};

}  // namespace larder::query
