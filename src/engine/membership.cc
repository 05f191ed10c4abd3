#include "engine/membership.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/try.h"

#ifndef F_OFD_SETLK  // of Linux, hidden by strict standard modes
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#endif

namespace larder::engine {

namespace {

struct flock byte_of(std::uint32_t slot, short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(kLivenessBase + slot);
  lock.l_len = 1;
  return lock;
}

bool try_lock(int fd, std::uint32_t slot) {
  struct flock lock = byte_of(slot, F_WRLCK);
  return ::fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

void unlock(int fd, std::uint32_t slot) {
  struct flock lock = byte_of(slot, F_UNLCK);
  ::fcntl(fd, F_OFD_SETLK, &lock);
}

}  // namespace

Status Membership::join() {
  Fd fd = TRY(files_->open_ctl_again());
  for (std::uint32_t slot = 0; slot < kProcessesMax; ++slot) {
    if (!try_lock(fd.get(), slot)) {
      // Who has it may not have raised it yet, and who looks for pins stops at the first that never was taken.
      std::uint32_t never = 0;
      files_->process(slot).incarnation.compare_exchange_strong(never, 1, std::memory_order_seq_cst);
      continue;
    }
    ProcessSlot& mine = files_->process(slot);
    bury(slot);
    // The new life begins before anything is done in its name.
    identity_ = {slot, mine.incarnation.fetch_add(1, std::memory_order_acq_rel) + 1};
    mine.pid.store(static_cast<std::uint32_t>(::getpid()), std::memory_order_relaxed);
    fd_ = std::move(fd);
    return {};
  }
  return Error{Code::kUnavailable, files_->path().string() + ": " + std::to_string(kProcessesMax) +
                                       " processes have it open already; close one"};
}

void Membership::leave() {
  if (!fd_) return;
  files_->process(identity_.slot).pid.store(0, std::memory_order_relaxed);
  // Unlocked by name: a child between fork and exec may still share the description.
  unlock(fd_.get(), identity_.slot);
  fd_.reset();
}

bool Membership::held_by_somebody(std::uint32_t slot) const {
  if (fd_ && slot == identity_.slot) return true;
  struct flock lock = byte_of(slot, F_WRLCK);
  if (::fcntl(files_->ctl_fd(), F_OFD_GETLK, &lock) != 0) return true;  // not known: better to wait than to break in
  return lock.l_type != F_UNLCK;
}

bool Membership::alive(std::uint32_t lock_word) const {
  const std::uint32_t slot = (lock_word & 0xff) - 1;
  if (slot >= kProcessesMax) return false;  // no such owner: the word is damaged
  const std::uint32_t incarnation = files_->process(slot).incarnation.load(std::memory_order_acquire);
  return Identity{slot, incarnation}.word() == (lock_word & 0x7fffffff) && held_by_somebody(slot);
}

void Membership::bury_dead() const {
  // Slots are taken from the first on, so behind one that never was taken none was.
  for (std::uint32_t slot = 0; slot < kProcessesMax && files_->process(slot).incarnation.load() != 0; ++slot) {
    // Without a pid: it has left, or was buried.
    if (files_->process(slot).pid.load(std::memory_order_relaxed) == 0 || held_by_somebody(slot)) continue;
    // Hold the slot meanwhile, so that nobody moves in while its pins are cleared.
    Result<Fd> fd = files_->open_ctl_again();
    if (fd.ok() && try_lock(fd->get(), slot)) bury(slot);
  }
}

void Membership::while_dead(std::uint32_t slot, const std::function<void()>& work) const {
  if (held_by_somebody(slot)) return;
  Result<Fd> fd = files_->open_ctl_again();
  if (fd.ok() && try_lock(fd->get(), slot)) work();
}

bool Membership::take_deaths() const { return deaths_.exchange(false, std::memory_order_relaxed); }

void Membership::bury(std::uint32_t slot) const {
  ProcessSlot& dead = files_->process(slot);
  if (dead.pid.exchange(0, std::memory_order_relaxed) != 0) deaths_.store(true, std::memory_order_relaxed);
  dead.blob_bytes.store(0, std::memory_order_relaxed);
  dead.keeps_blobs.store(0, std::memory_order_release);
  const std::uint32_t segments = files_->geometry().segments();
  for (std::uint32_t stripe = 0; stripe < kStripes; ++stripe) {
    Half* row = files_->pins(slot, stripe);
    for (std::uint32_t i = 0; i < segments; ++i) {
      if (row[i].load(std::memory_order_relaxed) != 0) row[i].store(0, std::memory_order_release);
    }
  }
}

std::uint32_t Membership::count() const {
  std::uint32_t living = 0;
  for (std::uint32_t slot = 0; slot < kProcessesMax; ++slot) living += held_by_somebody(slot) ? 1 : 0;
  return living;
}

}  // namespace larder::engine
