// One Cache object's place among the processes that have the directory open.
//
// Alive means: somebody holds an open-file-description lock on the slot's byte of `ctl`. The kernel drops it when the
// process dies, however it dies and in whatever pid namespace it lived; pids and robust mutexes cannot promise that
// (docs/design/engine.md). A forked child would hold its parent's lock along, so it closes the descriptor at once and
// takes a slot of its own when it first needs one.
#pragma once

#include <larder/result.h>

#include <atomic>
#include <functional>
#include <memory>

#include "base/fd.h"
#include "base/mutex.h"
#include "engine/files.h"

namespace larder::engine {

// Which life of which slot. Never 0.
struct Identity {
  std::uint32_t slot = 0;
  std::uint32_t incarnation = 0;

  // As the lower 31 bits of a lock word: incarnation:23 slot+1:8.
  std::uint32_t word() const { return (incarnation & 0x7fffff) << 8 | (slot + 1); }
};

class Membership {
 public:
  explicit Membership(std::shared_ptr<Files> files) : files_(std::move(files)) {}
  ~Membership() { leave(); }

  // Takes a free slot, cleaning what its last owner left. kUnavailable: all are taken by live ones.
  Status join();
  void leave();
  bool joined() const { return fd_.get() >= 0; }
  const Identity& self() const { return identity_; }

  // Whether the process that wrote this lock word lives.
  bool alive(std::uint32_t lock_word) const;
  // Gives back what processes that died held: pins, and room for large values.
  void bury_dead() const;
  // Whether a death was seen, by this or by join(), since the last call.
  bool take_deaths() const;
  bool dead(std::uint32_t slot) const { return !held_by_somebody(slot); }
  // Calls `work` when this slot's process is dead, while nobody can move in; who asks takes it for living meanwhile.
  void while_dead(std::uint32_t slot, const std::function<void()>& work) const;
  // How many have it open.
  std::uint32_t count() const;

  // In a forked child: forget the parent's slot without giving it back.
  void forget() { fd_.reset(); }

 private:
  bool held_by_somebody(std::uint32_t slot) const;
  // Of a slot whose byte is locked.
  void bury(std::uint32_t slot) const;

  std::shared_ptr<Files> files_;
  Identity identity_;
  Fd fd_;
  mutable std::atomic<bool> deaths_{false};
};

}  // namespace larder::engine
