#include "server/rpc/metrics/process_metrics.h"

#include <unistd.h>

#include <ctime>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "gtest/gtest.h"
#include "tests/rpc/metrics/families.h"

namespace warmstart::rpc {
namespace {

double Value(const std::string& name) {
  return ValuesOf(ProcessMetrics()).at(name);
}

TEST(ProcessMetricsTest, TheProcessIsThisOne) {
  EXPECT_GT(Value("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(Value("process_virtual_memory_bytes"),
            Value("process_resident_memory_bytes"));
  EXPECT_GT(Value("process_max_fds"), Value("process_open_fds"));
  // It started before now, and not long before.
  const double age = static_cast<double>(std::time(nullptr)) -
                     Value("process_start_time_seconds");
  EXPECT_GE(age, -2);
  EXPECT_LT(age, 3600);
}

TEST(ProcessMetricsTest, OpenFilesAndThreadsAreCounted) {
  const double files = Value("process_open_fds");
  const double threads = Value("process_threads");
  const std::ifstream file("/dev/null");
  EXPECT_EQ(Value("process_open_fds"), files + 1);
  std::thread([&] { EXPECT_EQ(Value("process_threads"), threads + 1); }).join();
}

TEST(ProcessMetricsTest, CpuTimeIsInSeconds) {
  const double before = Value("process_cpu_seconds_total");
  const std::clock_t start = std::clock();
  while (std::clock() - start < CLOCKS_PER_SEC / 10) {
  }
  const double spent = Value("process_cpu_seconds_total") - before;
  EXPECT_GE(spent, 0.05);
  EXPECT_LT(spent, 10);
}

}  // namespace
}  // namespace warmstart::rpc
