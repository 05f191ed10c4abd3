// A test's child processes. They end without the parent's destructors, but with what they covered written down.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "base/check.h"

#if defined(LARDER_COVERAGE)  // by tools/coverage
extern "C" void __gcov_dump();
#endif

namespace larder::engine {

[[noreturn]] inline void leave(int status) {
#if defined(LARDER_COVERAGE)
  __gcov_dump();
#endif
  std::_Exit(status);
}

// Runs `work` in a child and says how it ended: 0, or what it returned, or the signal's number less than zero.
template <typename Work>
int in_child(Work&& work) {
  const pid_t pid = ::fork();
  LARDER_CHECK(pid >= 0);
  if (pid == 0) leave(work());
  int status = 0;
  LARDER_CHECK(::waitpid(pid, &status, 0) == pid);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace larder::engine
