// Makes a golden store: make_golden DIRECTORY. Remove its lock files before it is committed.
#include "../../support/golden_store.hpp"

#include <gtest/gtest.h>

#include <iostream>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "make_golden: the directory of the store is missing, or there is more\n";
    return 2;
  }
  testing::InitGoogleTest();
  acta::tests::golden_store::make(argv[1]);
  return testing::Test::HasFailure() ? 1 : 0;
}
