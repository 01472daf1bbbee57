#include "server/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace warmstart {

void ParallelFor(size_t count, absl::FunctionRef<void(size_t)> work) {
  std::atomic<size_t> next = 0;
  const auto drain = [&] {
    for (size_t i = next++; i < count; i = next++) work(i);
  };
  const size_t cores = std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::thread> helpers;
  for (size_t i = 1; i < std::min(cores, count); ++i) {
    helpers.emplace_back(drain);
  }
  drain();
  for (std::thread& helper : helpers) helper.join();
}

}  // namespace warmstart
