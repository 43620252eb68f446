#pragma once

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

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

/// A program that writes a `Line` of fixed size to its standard output now and then, until it is
/// killed.
template <class Line>
class told_program {
public:
  told_program(const char* program, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), program);
    std::vector<char*> pointers;
    for (auto& each : arguments)
      pointers.push_back(each.data());
    pointers.push_back(nullptr);
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(ends[1], STDOUT_FILENO);
      ::close(ends[0]);
      ::close(ends[1]);
      ::execv(program, pointers.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    from_ = ends[0];
  }
  ~told_program() {
    if (child_ != 0)
      kill();
    ::close(from_);
  }
  told_program(const told_program&) = delete;
  told_program& operator=(const told_program&) = delete;

  /// Reads lines as they come until there are `count`; false if the program ended before.
  bool read_until(std::size_t count) {
    Line line;
    while (lines.size() < count) {
      if (::read(from_, &line, sizeof line) != sizeof line)
        return false;
      lines.push_back(line);
    }
    return true;
  }

  /// Kills it and reads what it had written. Returns the signal it died of, or minus its exit
  /// status, as it had ended by itself.
  int kill() {
    ::kill(child_, SIGKILL);
    while (read_until(lines.size() + 1)) {
    }
    int status = 0;
    ::waitpid(std::exchange(child_, 0), &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
  }

  std::vector<Line> lines;

private:
  pid_t child_ = 0;
  int from_ = -1;
};

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
