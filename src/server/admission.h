// A door before a source: so many questions at once go in, the others wait outside in the order in which they came, and
// leave when their callers do or their time is over. The engine behind it then has its memory and cores for a few
// questions at a time, while many callers may wait for the answer to one.
#pragma once

#include <larder/result.h>

#include <cstdint>
#include <set>
#include <string>

#include "base/mutex.h"
#include "sources/source.h"

namespace larder::server {

class Admission final : public sources::Source {
 public:
  // `source` must outlive this.
  Admission(sources::Source& source, unsigned at_once);

  Result<sources::Plan> plan(const sources::Question& question) override { return source_.plan(question); }
  Result<std::string> version(const sources::Plan& plan) override { return source_.version(plan); }
  // The wait counts as part of the question's time. kTimeout and kCancelled may come from the wait.
  Result<sources::Answer> run(const sources::Question& question, const sources::Plan& plan,
                              const sources::Limits& limits, const Cancel& cancel) override;

  unsigned waiting() const;

 private:
  Status enter(std::int64_t timeout_ms, const Cancel& cancel);
  void leave();

  sources::Source& source_;
  const unsigned at_once_;
  mutable Mutex mutex_;
  Condition changed_;
  unsigned inside_ LARDER_GUARDED_BY(mutex_) = 0;
  std::uint64_t tickets_ LARDER_GUARDED_BY(mutex_) = 0;
  std::set<std::uint64_t> outside_ LARDER_GUARDED_BY(mutex_);  // tickets; the smallest is next
};

}  // namespace larder::server
