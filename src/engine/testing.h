// What tests of other parts of Larder may do to a Cache that its users may not.
#pragma once

#include <larder/cache.h>

namespace larder::engine {

// A second Cache on the first one's mapping, with its own place among the processes: what ThreadSanitizer needs to see
// races between Cache objects.
Result<Cache> share_mapping(const Cache& cache, const Options& options = {});

}  // namespace larder::engine
