// RunAtLowPriority: work that can wait, beside work that cannot.

#ifndef WARMSTART_SERVER_BASE_LOW_PRIORITY_H_
#define WARMSTART_SERVER_BASE_LOW_PRIORITY_H_

#include "absl/functional/function_ref.h"

namespace warmstart {

// Runs `work` on a thread of its own, which gets what other threads leave of
// the processors and, where the disk's scheduler knows priorities, of the disk;
// returns when it is done. What it throws is thrown here.
void RunAtLowPriority(absl::FunctionRef<void()> work);

}  // namespace warmstart

#endif  // WARMSTART_SERVER_BASE_LOW_PRIORITY_H_
