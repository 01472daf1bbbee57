#include "server/base/low_priority.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <future>

namespace warmstart {
namespace {

constexpr int kNicest = 19;

// Of <linux/ioprio.h>, which older systems lack.
constexpr int kIoprioWhoProcess = 1;
constexpr int kIoprioIdle = 3 << 13;

// Of the calling thread alone: Linux has both for threads. There is no way
// back, and where it is not allowed, the work is done all the same.
void LowerPriority() {
  const auto thread = static_cast<id_t>(::syscall(SYS_gettid));
  ::setpriority(PRIO_PROCESS, thread, kNicest);
  ::syscall(SYS_ioprio_set, kIoprioWhoProcess, thread, kIoprioIdle);
}

}  // namespace

void RunAtLowPriority(absl::FunctionRef<void()> work) {
  std::async(std::launch::async, [&] {
    LowerPriority();
    work();
  }).get();
}

}  // namespace warmstart
