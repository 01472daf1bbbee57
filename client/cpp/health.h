// Asks a server whether it serves, by the protocol of grpc.health.v1.

#ifndef WARMSTART_CLIENT_CPP_HEALTH_H_
#define WARMSTART_CLIENT_CPP_HEALTH_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/cpp/options.h"

namespace warmstart::client {

enum class ServingStatus { kUnknown, kServing, kNotServing, kServiceUnknown };

// "SERVING", "NOT_SERVING", ...
absl::string_view ServingStatusName(ServingStatus status);

// The status of `service`, or of the server as a whole where it is empty. Asks
// once, without retries: a probe wants to know how it is now.
//
//   UNAVAILABLE        the server cannot be reached
//   DEADLINE_EXCEEDED  no answer within options.timeout
//   NOT_FOUND          the server knows no such service
//   UNIMPLEMENTED      the server does not speak the protocol
absl::StatusOr<ServingStatus> CheckHealth(
    std::shared_ptr<grpc::ChannelInterface> channel,
    const ClientOptions& options, const std::string& service);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CPP_HEALTH_H_
