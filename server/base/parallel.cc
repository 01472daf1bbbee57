#include "server/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <vector>

namespace warmstart {

void ParallelFor(size_t count, absl::FunctionRef<void(size_t)> work) {
  std::atomic<size_t> next = 0;
  std::atomic<bool> has_failed = false;
  std::exception_ptr failure;  // written by who set has_failed first
  const auto drain = [&] {
    try {
      for (size_t i = next++; i < count && !has_failed; i = next++) work(i);
    } catch (...) {
      if (!has_failed.exchange(true)) failure = std::current_exception();
    }
  };
  const size_t cores = std::max(1u, std::thread::hardware_concurrency());
  const size_t threads = std::min(cores, count);
  std::vector<std::thread> helpers;
  helpers.reserve(threads);
  try {
    while (helpers.size() + 1 < threads) helpers.emplace_back(drain);
  } catch (const std::exception&) {
    // No more threads to be had: those that there are do the work.
  }
  drain();
  for (std::thread& helper : helpers) helper.join();
  if (failure != nullptr) std::rethrow_exception(failure);
}

}  // namespace warmstart
