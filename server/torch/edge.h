// The edge of this room: LibTorch's exceptions, warnings and threads stop here.

#ifndef WARMSTART_SERVER_TORCH_EDGE_H_
#define WARMSTART_SERVER_TORCH_EDGE_H_

#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace warmstart::backend {

// The exception that is being handled, as a Status whose message is its first
// line. Call in a catch block.
//   RESOURCE_EXHAUSTED  out of memory, on the host or on a device
//   INTERNAL            an accelerator or a library failed
//   INVALID_ARGUMENT    what else LibTorch refuses: it was asked for something
//                       that these values, shapes or dtypes do not allow
absl::Status StatusOfCurrentException();

// The same status, its message opened with "<subject>: ".
absl::Status Annotate(const absl::Status& status, absl::string_view subject);

// Makes LibTorch compute on the calling thread alone. The server's requests run
// beside each other already; a team of OpenMP threads for each of them would be
// the square of the cores, and its threads spin while they wait: on a busy
// machine a forward pass of NetA took 250 ms with two and 0.5 ms with one, and
// a cast, bound by memory, gained nothing. The first call takes some 10 ms.
void ConfigureThreads();

// LibTorch's warnings go to stderr unless a handler takes them. What they say
// (a cast that drops imaginary parts) is in the report already.
c10::WarningHandler& SilentWarningHandler();

// Runs `body`, which returns void and may throw, without autograd.
template <typename Body>
absl::Status GuardTorch(Body&& body) {
  ConfigureThreads();
  c10::InferenceMode inference;
  c10::WarningUtils::WarningHandlerGuard quiet(&SilentWarningHandler());
  try {
    std::forward<Body>(body)();
    return absl::OkStatus();
  } catch (...) {
    return StatusOfCurrentException();
  }
}

}  // namespace warmstart::backend

#endif  // WARMSTART_SERVER_TORCH_EDGE_H_
