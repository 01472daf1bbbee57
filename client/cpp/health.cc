#include "client/cpp/health.h"

#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/notification.h"
#include "client/cpp/error.h"
#include "client/cpp/operation.h"
#include "client/cpp/status_macros.h"

namespace warmstart::client {
namespace {

// Debian's gRPC comes without generated code for grpc.health.v1, whose two
// messages have one field each:
//   HealthCheckRequest  { string service = 1; }
//   HealthCheckResponse { ServingStatus status = 1; }
constexpr char kMethod[] = "/grpc.health.v1.Health/Check";
constexpr int kField = 1;

using google::protobuf::UnknownField;
using google::protobuf::UnknownFieldSet;

std::string EncodeRequest(const std::string& service) {
  UnknownFieldSet message;
  message.AddLengthDelimited(kField, service);
  std::string bytes;
  message.SerializeToString(&bytes);
  return bytes;
}

std::string ToString(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// An absent status is 0, UNKNOWN, as everywhere in proto3.
absl::StatusOr<uint64_t> DecodeResponse(const grpc::ByteBuffer& buffer) {
  UnknownFieldSet message;
  if (!message.ParseFromString(ToString(buffer))) {
    return absl::InternalError("the answer to the health check is malformed");
  }
  uint64_t status = 0;
  for (int i = 0; i < message.field_count(); ++i) {
    const UnknownField& field = message.field(i);
    if (field.number() == kField && field.type() == UnknownField::TYPE_VARINT) {
      status = field.varint();
    }
  }
  return status;
}

ServingStatus ToServingStatus(uint64_t value) {
  switch (value) {
    case 1:
      return ServingStatus::kServing;
    case 2:
      return ServingStatus::kNotServing;
    case 3:
      return ServingStatus::kServiceUnknown;
    default:
      return ServingStatus::kUnknown;
  }
}

}  // namespace

absl::string_view ServingStatusName(ServingStatus status) {
  switch (status) {
    case ServingStatus::kServing:
      return "SERVING";
    case ServingStatus::kNotServing:
      return "NOT_SERVING";
    case ServingStatus::kServiceUnknown:
      return "SERVICE_UNKNOWN";
    case ServingStatus::kUnknown:
      break;
  }
  return "UNKNOWN";
}

absl::StatusOr<ServingStatus> CheckHealth(
    std::shared_ptr<grpc::ChannelInterface> channel,
    const ClientOptions& options, const std::string& service) {
  grpc::ClientContext context;
  Operation(options).Prepare(context);
  const grpc::Slice request_slice(EncodeRequest(service));
  const grpc::ByteBuffer request(&request_slice, 1);
  grpc::ByteBuffer response;
  grpc::Status status;
  absl::Notification done;
  grpc::GenericStub(std::move(channel))
      .UnaryCall(&context, kMethod, grpc::StubOptions(), &request, &response,
                 [&](grpc::Status result) {
                   status = std::move(result);
                   done.Notify();
                 });
  done.WaitForNotification();
  if (!status.ok()) return FromGrpcStatus(status);
  CLIENT_ASSIGN_OR_RETURN(const uint64_t value, DecodeResponse(response));
  return ToServingStatus(value);
}

}  // namespace warmstart::client
