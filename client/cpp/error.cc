#include "client/cpp/error.h"

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace warmstart::client {
namespace {

// gRPC carries a serialized google.rpc.Status; it rides on as a payload.
constexpr absl::string_view kDetailsUrl =
    "type.googleapis.com/google.rpc.Status";

// The two enumerations share their numbers up to 16; later ones are unknown.
absl::StatusCode ToAbslCode(grpc::StatusCode code) {
  const int value = static_cast<int>(code);
  return value >= 0 && value <= 16 ? static_cast<absl::StatusCode>(value)
                                   : absl::StatusCode::kUnknown;
}

void TakeDetail(const google::protobuf::Any& any, ErrorDetails& details) {
  if (google::rpc::ErrorInfo info; any.UnpackTo(&info)) {
    details.reason = info.reason();
    details.metadata.insert(info.metadata().begin(), info.metadata().end());
  } else if (v1::MatchReport report; any.UnpackTo(&report)) {
    details.report = std::move(report);
  }
}

}  // namespace

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(ToAbslCode(status.error_code()), status.error_message());
  if (!status.error_details().empty()) {
    result.SetPayload(kDetailsUrl, absl::Cord(status.error_details()));
  }
  return result;
}

ErrorDetails GetErrorDetails(const absl::Status& status) {
  ErrorDetails details;
  const auto payload = status.GetPayload(kDetailsUrl);
  if (!payload.has_value()) return details;
  google::rpc::Status rpc_status;
  if (!rpc_status.ParseFromString(std::string(*payload))) return details;
  for (const google::protobuf::Any& any : rpc_status.details()) {
    TakeDetail(any, details);
  }
  return details;
}

}  // namespace warmstart::client
