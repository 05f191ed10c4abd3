#include "query/plans.h"

#include <random>

#include "base/hash.h"

namespace larder::query {
namespace {

std::uint64_t random_seed() {
  std::random_device random;
  return std::uint64_t{random()} << 32 | random();
}

}  // namespace

std::size_t Plans::Hash::operator()(const Key& key) const { return hash64(key.sql, hash64(key.source, seed)); }

Plans::Plans(std::size_t count_max, std::size_t bytes_max)
    : count_max_(count_max), bytes_max_(bytes_max), by_words_(16, Hash{random_seed()}) {}

std::shared_ptr<const sources::Plan> Plans::find(std::string_view source, std::string_view sql) {
  MutexLock lock(mutex_);
  const auto found = by_words_.find(Key{source, sql});
  if (found == by_words_.end()) return nullptr;
  by_use_.splice(by_use_.begin(), by_use_, found->second);
  return found->second->plan;
}

void Plans::keep(std::string_view source, std::string_view sql, std::shared_ptr<const sources::Plan> plan) {
  Known one{std::string(source), std::string(sql), std::move(plan)};
  if (one.bytes() > bytes_max_) return;
  MutexLock lock(mutex_);
  if (by_words_.count(Key{source, sql}) > 0) return;
  by_use_.push_front(std::move(one));
  const Known& known = by_use_.front();
  by_words_.emplace(Key{known.source, known.sql}, by_use_.begin());
  bytes_ += known.bytes();
  while (by_use_.size() > count_max_ || bytes_ > bytes_max_) {
    const Known& last = by_use_.back();
    bytes_ -= last.bytes();
    by_words_.erase(Key{last.source, last.sql});
    by_use_.pop_back();
  }
}

std::size_t Plans::size() const {
  MutexLock lock(mutex_);
  return by_use_.size();
}

}  // namespace larder::query
