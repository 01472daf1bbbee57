// ClientOptions: where the server is, and how patient the client is with it.

#ifndef WARMSTART_CLIENT_CPP_OPTIONS_H_
#define WARMSTART_CLIENT_CPP_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace warmstart::client {

// How often a request that met UNAVAILABLE is sent again. The pause before each
// attempt doubles from `initial_backoff` to `max_backoff`, less a random part
// of up to a half, so that clients which failed together do not return
// together.
struct RetryPolicy {
  int max_attempts = 5;
  absl::Duration initial_backoff = absl::Milliseconds(100);
  absl::Duration max_backoff = absl::Seconds(4);
};

struct ClientOptions {
  // As gRPC takes it: "host:port", "unix:/path", "dns:///name:port".
  std::string address = "localhost:50051";

  // How long a method may take, its retries included.
  absl::Duration timeout = absl::InfiniteDuration();

  // While the server was not reached: about a second and a half, so that a
  // wrong address is told soon.
  RetryPolicy retry;

  // Once a transfer has begun: about ten seconds, as a server that restarts
  // takes. A download starts counting again whenever bytes have come, and an
  // upload whenever the server has kept some.
  RetryPolicy resume{.max_attempts = 9};

  // Files of so many bytes together are sent in an upload that can be resumed.
  // Less is sent again soon, and takes one round trip.
  int64_t resumable_bytes = int64_t{16} << 20;

  // Told of every retry before its pause; may be empty.
  std::function<void(const absl::Status& failure, absl::Duration pause)>
      on_retry;

  // Makes the pause; empty for the usual way. Tests replace it.
  std::function<void(absl::Duration)> sleep;
};

// How far a transfer is.
struct Progress {
  int64_t bytes_done = 0;
  int64_t bytes_total = 0;
};

// Called on the caller's thread, after every message of a transfer; may be
// empty.
using ProgressCallback = std::function<void(const Progress&)>;

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_OPTIONS_H_
