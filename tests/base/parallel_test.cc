#include "server/base/parallel.h"

#include <atomic>
#include <new>
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

TEST(ParallelTest, AnExceptionReachesTheCallerWhenAllThreadsHaveEnded) {
  std::atomic<int> running = 0;
  const auto work = [&](size_t i) {
    ++running;
    if (i % 10 == 9) {
      --running;
      throw std::bad_alloc();
    }
    --running;
  };
  EXPECT_THROW(ParallelFor(1000, work), std::bad_alloc);
  EXPECT_EQ(running, 0);
}

}  // namespace
}  // namespace warmstart
