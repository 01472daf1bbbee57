#include "server/base/parallel.h"

#include <atomic>
#include <vector>

#include "gtest/gtest.h"

namespace warmstart {
namespace {

TEST(ParallelTest, EveryPieceRunsOnce) {
  std::vector<std::atomic<int>> runs(1000);
  ParallelFor(runs.size(), [&](size_t i) { ++runs[i]; });
  for (const std::atomic<int>& count : runs) EXPECT_EQ(count, 1);
}

TEST(ParallelTest, NoPiecesIsNoWork) {
  ParallelFor(0, [](size_t) { ADD_FAILURE(); });
}

}  // namespace
}  // namespace warmstart
