// A copy of the whole cache as it was at one moment, made while others write; and a cache from such a copy.
//
// The log is the cache. Under the locks of all shards, for as long as it takes to look at a few words of each segment,
// it is noted how far each segment goes, and each is pinned; what is in it up to there will not change any more, and is
// copied at leisure. The copy has a ctl of its own and no index: who opens it makes that anew. A snapshot of the three
// files lost: the index changes under the copier, and file systems that can clone are few.
#pragma once

#include <larder/cache.h>

#include "engine/store.h"

namespace larder::engine {

inline constexpr char kCopied[] = "copied";  // a boot id of no machine: the index is made when it is opened

Status backup(Store& store, const std::filesystem::path& to, const Progress& progress);
// restore.cc
Result<CheckReport> restore(const std::filesystem::path& from, const std::filesystem::path& to,
                            const Progress& progress);

}  // namespace larder::engine
