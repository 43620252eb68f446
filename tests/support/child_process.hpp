#pragma once

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <functional>

/// Another process that does something with a store and says how it went.
namespace acta::tests {

/// Runs `what` in a child of fork(); its exit status, or minus the signal that ended it.
[[nodiscard]] inline int in_child(const std::function<int()>& what) {
  const auto child = ::fork();
  if (child == 0) {
    try {
      ::_exit(what());
    } catch (...) { // must not return into the parent's test
      ::_exit(126);
    }
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/// A step one process waits for and another one does.
class step {
public:
  step() { EXPECT_EQ(::pipe(ends_), 0); }
  ~step() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  step(const step&) = delete;
  step& operator=(const step&) = delete;

  void done() const { EXPECT_EQ(::write(ends_[1], "x", 1), 1); }
  void wait() const {
    char one = 0;
    EXPECT_EQ(::read(ends_[0], &one, 1), 1);
  }

private:
  int ends_[2]{};
};

} // namespace acta::tests
