// Transactions, as the engine runs them; larder/transaction.h is what callers see.
//
// The work's writes are kept here; what it read is remembered by sequence (0: there was nothing). To commit: the locks
// of all shards involved are taken in the order of their numbers, room is made in each, what was read is compared, each
// shard notes which bytes beyond a segment's end belong to the transaction, the records are written there, every shard
// is marked as switching, and one store to the process's slot decides (commit.cc has the shard's side).
#pragma once

#include <larder/transaction.h>

#include "engine/store.h"

namespace larder::engine {

Status transact(Cache& cache, Store& store, const std::function<Status(Transaction&)>& work, std::int64_t deadline_ms);

// As cache.cc tests them for single calls. `tags` are those of the options, encoded, and must live as long as the put.
Status checked_key(std::string_view key);
Result<Put> checked_put(const Store& store, std::string_view key, std::string_view value, const SetOptions& options,
                        std::string_view tags);

}  // namespace larder::engine
