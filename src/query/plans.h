// Plans of questions seen before, so that a hit parses no SQL. The least recently used go first.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/mutex.h"
#include "sources/source.h"

namespace larder::query {

class Plans {
 public:
  // At most so many, and so many bytes of SQL.
  Plans(std::size_t count_max, std::size_t bytes_max);

  // Null: not known.
  std::shared_ptr<const sources::Plan> find(std::string_view source, std::string_view sql) LARDER_EXCLUDES(mutex_);
  void keep(std::string_view source, std::string_view sql, std::shared_ptr<const sources::Plan> plan)
      LARDER_EXCLUDES(mutex_);

  std::size_t size() const LARDER_EXCLUDES(mutex_);

 private:
  struct Known {
    std::string source;
    std::string sql;
    std::shared_ptr<const sources::Plan> plan;
    std::size_t bytes() const { return source.size() + sql.size() + plan->normal_sql.size(); }
  };
  struct Key {  // points into a Known, or into a caller's words while looking
    std::string_view source;
    std::string_view sql;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::uint64_t seed;  // SQL comes from strangers
    std::size_t operator()(const Key& key) const;
  };

  // Set at construction.
  const std::size_t count_max_;
  const std::size_t bytes_max_;
  // Any thread.
  mutable Mutex mutex_;
  std::list<Known> by_use_ LARDER_GUARDED_BY(mutex_);  // the last used first
  std::unordered_map<Key, std::list<Known>::iterator, Hash> by_words_ LARDER_GUARDED_BY(mutex_);
  std::size_t bytes_ LARDER_GUARDED_BY(mutex_) = 0;
};

}  // namespace larder::query
