#include "client/cpp/scrub.h"

#include <grpcpp/client_context.h>

#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "client/cpp/error.h"
#include "client/cpp/operation.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

absl::StatusOr<v1::ScrubResult> Attempt(v1::Admin::StubInterface& stub,
                                        Operation& operation,
                                        const ProgressCallback& progress) {
  grpc::ClientContext context;
  operation.Prepare(context);
  const auto reader = stub.ScrubStore(&context, v1::ScrubStoreRequest());
  std::optional<v1::ScrubResult> result;
  v1::ScrubStoreResponse message;
  while (reader->Read(&message)) {
    operation.Reached();
    if (message.has_result()) result = std::move(*message.mutable_result());
    if (message.has_progress() && progress) {
      progress({.bytes_done = message.progress().bytes_read(),
                .bytes_total = message.progress().size_bytes()});
    }
  }
  CLIENT_RETURN_IF_ERROR(FromGrpcStatus(reader->Finish()));
  if (result.has_value()) return *std::move(result);
  return absl::DataLossError("the server did not tell what the scrub found");
}

}  // namespace

absl::StatusOr<v1::ScrubResult> Scrub(v1::Admin::StubInterface& stub,
                                      const ClientOptions& options,
                                      const ProgressCallback& progress) {
  Operation operation(options);
  while (true) {
    absl::StatusOr<v1::ScrubResult> result = Attempt(stub, operation, progress);
    if (result.ok() || !operation.ShouldRetry(result.status())) return result;
  }
}

}  // namespace warmstart::client
