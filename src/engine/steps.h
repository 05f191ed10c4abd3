// Named places inside a change to the files, for the tests that kill a process there.
//
// A hook that is not set costs one predicted branch on a word that never changes. tests/processes sets it; nothing
// else does.
#pragma once

#include <atomic>
#include <cstdint>

namespace larder::engine {

enum class Step : std::uint32_t {
  kLocked,              // the shard's lock is held, nothing changed
  kRecordHalf,          // half of the record's bytes are in the log
  kRecordWhole,         // all of them, checksum included
  kRedoHalf,            // the redo note is being written
  kRedoNoted,           // the redo note is valid: the change will happen
  kUsedMoved,           // the segment's end is moved over the record
  kAccountsMoved,       // live bytes are right
  kSlotStored,          // readers see the new record
  kRedoDone,            // the redo note is gone
  kSplitMarked,         // a bucket is about to be split
  kSplitCopied,         // the new bucket is filled, readers still look in the old one
  kSplitPublished,      // readers look in the new one
  kSplitCleaned,        // the old one is cleaned
  kOverflowTaken,       // an overflow bucket is taken, not yet linked
  kSegmentTaken,        // a segment is marked open
  kSegmentHeaded,       // its header is written
  kSegmentActive,       // it is the one that writes go to
  kVictimChosen,        // a segment is chosen to be freed
  kVictimStep,          // one of its records was dealt with
  kVictimMoved,         // what stays was moved on
  kVictimEmpty,         // none of its records is in the index any more
  kGenerationRaised,    // readers of the old generation start over
  kVictimDraining,      // waiting for the last pins
  kSegmentFreed,        // free
  kClearNoted,          // a clear has begun
  kClearHalf,           // the index is empty, the segments are not yet free
  kTransactionNoted,    // a shard knows which bytes will be the transaction's
  kTransactionWritten,  // its records are there
  kTransactionHidden,   // readers of a shard wait
  kTransactionDecided,  // it has happened
  kTransactionStep,     // one of its records is an entry
  kTransactionDone,     // all of a shard's are, readers still wait
  kBlobMade,            // a file for a large value is there, empty
  kBlobWritten,         // it is whole, no entry speaks of it
  kBlobDropped,         // its entry is gone, it is there
  kFlushed,             // the log is on the disk, the flush is not yet counted
  kHorizonNoted,        // nor is it on the disk which transactions are
  kBackupHeld,          // all shards are held, all segments pinned
  kBackupNext,          // a segment is about to be read
  kBackupCopied,        // a segment was copied
  kBackupWhole,         // the copy is on the disk and has not got its name
  kCount,
};

inline std::atomic<void (*)(Step)> step_hook{nullptr};

inline void step(Step at) {
  if (auto* hook = step_hook.load(std::memory_order_relaxed); __builtin_expect(hook != nullptr, 0)) hook(at);
}

}  // namespace larder::engine
