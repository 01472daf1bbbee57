// Operation: one call of a Client's method, over all of its attempts. It knows
// the deadline and decides whether a failed attempt is followed by another.
//
//   Operation operation(options);
//   while (true) {
//     grpc::ClientContext context;
//     operation.Prepare(context);
//     absl::Status status = FromGrpcStatus(stub.Method(&context, ...));
//     if (status.ok() || !operation.ShouldRetry(status)) return status;
//   }
//
// Only for what may be sent twice: methods that change nothing, that set a
// state as a whole, or whose request has a request_id. Not thread-safe.

#ifndef WARMSTART_CLIENT_CPP_OPERATION_H_
#define WARMSTART_CLIENT_CPP_OPERATION_H_

#include <grpcpp/client_context.h>

#include "absl/random/random.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/cpp/options.h"

namespace warmstart::client {

// Of an error's message and details together. Channels have to allow trailers
// of this size.
inline constexpr int kMaxErrorBytes = 32 * 1024 * 1024;

class Operation {
 public:
  // `options` must outlive the operation.
  explicit Operation(const ClientOptions& options);

  // Gives an attempt the operation's deadline, and tells the server how large
  // an error this client takes: without that, it cuts the report in an error to
  // what every gRPC client takes.
  void Prepare(grpc::ClientContext& context) const;

  // The server was reached: `options.resume` holds from now on.
  void Reached() { policy_ = &options_.resume; }

  // Something came of it that a next attempt does not repeat: the attempts are
  // counted from here.
  void Advanced() { failures_ = 0; }

  // Whether to try again after `failure`. If so, it has made the pause.
  bool ShouldRetry(const absl::Status& failure);

 private:
  absl::Duration NextPause();

  const ClientOptions& options_;
  const RetryPolicy* policy_;
  const absl::Time deadline_;
  int failures_ = 0;
  absl::BitGen random_;
};

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_OPERATION_H_
