// ParallelFor: independent pieces of work on all cores.

#ifndef WARMSTART_SERVER_BASE_PARALLEL_H_
#define WARMSTART_SERVER_BASE_PARALLEL_H_

#include <cstddef>

#include "absl/functional/function_ref.h"

namespace warmstart {

// Calls work(0) to work(count - 1), each once, on as many threads as the
// machine has cores (the caller's among them), and returns when all are done.
// `work` must be safe to call from several threads. What it throws (memory may
// not suffice) is thrown here, once all threads have ended; some calls may not
// have been made then.
void ParallelFor(size_t count, absl::FunctionRef<void(size_t)> work);

}  // namespace warmstart

#endif  // WARMSTART_SERVER_BASE_PARALLEL_H_
