// What the server says of a failure, as a caller sees it.
//
// The client's methods return absl::Status: the server's code and message, with
// the rest of what it said carried along.
//
//   absl::StatusOr<v1::WarmStartResponse> response =
//   client->WarmStart(request); if (!response.ok()) {
//     ErrorDetails details = GetErrorDetails(response.status());
//     if (details.reason == "CHECKPOINT_NOT_FOUND") ...
//     if (details.report.has_value()) Show(*details.report);
//   }

#ifndef WARMSTART_CLIENT_CPP_ERROR_H_
#define WARMSTART_CLIENT_CPP_ERROR_H_

#include <grpcpp/support/status.h>

#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "warmstart/v1/report.pb.h"

namespace warmstart::client {

struct ErrorDetails {
  // Of google.rpc.ErrorInfo: a constant such as "CHECKPOINT_NOT_FOUND"; empty
  // where the failure is not of the server's making, such as a lost connection.
  std::string reason;
  // Names the key, field or resource.
  std::map<std::string, std::string> metadata;
  // The account of every key, where a policy of the request was not met.
  std::optional<v1::MatchReport> report;
};

// The absl::Status that says what `status` says, its error details included.
absl::Status FromGrpcStatus(const grpc::Status& status);

// The details that FromGrpcStatus put into `status`. Empty where there are none
// or they cannot be read: they only ever add to the code and the message.
ErrorDetails GetErrorDetails(const absl::Status& status);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_ERROR_H_
