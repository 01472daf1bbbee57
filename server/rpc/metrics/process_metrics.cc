#include "server/rpc/metrics/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>

#include "server/rpc/metrics/metric_families.h"

namespace warmstart::rpc {
namespace {

using prometheus::MetricFamily;

// Of /proc/self/stat, whose fields proc(5) describes; the numbers of those here
// are from 1.
struct Stat {
  double user_ticks = 0;       // 14
  double system_ticks = 0;     // 15
  int64_t num_threads = 0;     // 20
  double start_ticks = 0;      // 22, since the machine started
  int64_t virtual_bytes = 0;   // 23
  int64_t resident_pages = 0;  // 24
};

std::optional<Stat> ReadStat() {
  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  // The second field is the program's name, in brackets, and may be anything.
  const size_t end = text.rfind(')');
  if (end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(end + 1));
  Stat stat;
  std::string skipped;
  const auto skip = [&](int count) {
    for (int i = 0; i < count; ++i) fields >> skipped;
  };
  skip(11);
  fields >> stat.user_ticks >> stat.system_ticks;
  skip(4);
  fields >> stat.num_threads >> skipped >> stat.start_ticks >>
      stat.virtual_bytes >> stat.resident_pages;
  if (!fields) return std::nullopt;
  return stat;
}

// When the machine started, in seconds since 1970.
std::optional<double> ReadBootTime() {
  std::ifstream file("/proc/stat");
  for (std::string word; file >> word;) {
    double seconds = 0;
    if (word == "btime" && file >> seconds) return seconds;
  }
  return std::nullopt;
}

std::optional<int64_t> CountOpenFiles() {
  std::error_code error;
  std::filesystem::directory_iterator files("/proc/self/fd", error);
  if (error) return std::nullopt;
  int64_t count = -1;  // the folder itself is open, too
  for (; !error && files != std::filesystem::directory_iterator();
       files.increment(error)) {
    ++count;
  }
  return count;
}

void AddStat(const Stat& stat, std::vector<MetricFamily>& families) {
  const auto ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  families.push_back(
      CounterFamily("process_cpu_seconds_total",
                    "CPU time that the process took, in seconds.",
                    (stat.user_ticks + stat.system_ticks) / ticks_per_second));
  families.push_back(GaugeFamily("process_resident_memory_bytes",
                                 "Resident memory, mapped files included.",
                                 stat.resident_pages * sysconf(_SC_PAGESIZE)));
  families.push_back(GaugeFamily("process_virtual_memory_bytes",
                                 "Virtual memory.", stat.virtual_bytes));
  families.push_back(
      GaugeFamily("process_threads", "Threads.", stat.num_threads));
  if (const std::optional<double> boot_time = ReadBootTime()) {
    families.push_back(
        GaugeFamily("process_start_time_seconds",
                    "When the process started, in seconds since 1970.",
                    *boot_time + stat.start_ticks / ticks_per_second));
  }
}

}  // namespace

std::vector<MetricFamily> ProcessMetrics::Collect() const {
  std::vector<MetricFamily> families;
  if (const std::optional<Stat> stat = ReadStat()) AddStat(*stat, families);
  if (const std::optional<int64_t> open_files = CountOpenFiles()) {
    families.push_back(
        GaugeFamily("process_open_fds", "Open files.", *open_files));
  }
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    families.push_back(GaugeFamily("process_max_fds", "Files that may be open.",
                                   limit.rlim_cur));
  }
  return families;
}

}  // namespace warmstart::rpc
