// What every handler of the API does besides its own work.

#ifndef WARMSTART_SERVER_RPC_HANDLER_H_
#define WARMSTART_SERVER_RPC_HANDLER_H_

#include <grpcpp/grpcpp.h>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace warmstart::rpc {

// Runs `method` and returns its status. No exception leaves: nothing that a
// client sends may end the server. RESOURCE_EXHAUSTED where memory did not
// suffice, INTERNAL for others.
absl::Status Guarded(absl::FunctionRef<absl::Status()> method);

// Runs a method of the API, guarded, and answers with what became of it.
grpc::Status Answer(const grpc::ServerContext& call,
                    absl::FunctionRef<absl::Status()> method);

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_HANDLER_H_
