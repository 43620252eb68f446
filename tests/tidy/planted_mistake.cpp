// ./dev check wants clang-tidy to find fault with this: or else it looks at nothing any more.
#include <memory>

int* planted_mistake(const std::unique_ptr<int>& one) {
  return one ? one.get() : 0;
}
