// CallRunner: what every handler of the API does besides its own work.

#ifndef WARMSTART_SERVER_RPC_CALL_RUNNER_H_
#define WARMSTART_SERVER_RPC_CALL_RUNNER_H_

#include <grpcpp/grpcpp.h>

#include <atomic>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace warmstart::rpc {

// Thread-safe.
class CallRunner {
 public:
  // Runs `method` and returns its status. No exception leaves: nothing that a
  // client sends may end the server. RESOURCE_EXHAUSTED where memory did not
  // suffice, INTERNAL for others.
  absl::Status Run(absl::FunctionRef<absl::Status()> method);

  // Runs a method of the API and answers with what became of it.
  grpc::Status Answer(const grpc::ServerContext& call,
                      absl::FunctionRef<absl::Status()> method);

  // How many methods run at the moment.
  int num_running() const { return num_running_; }

 private:
  std::atomic<int> num_running_ = 0;
};

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_CALL_RUNNER_H_
