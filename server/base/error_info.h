// ErrorInfo: the machine-readable part of an error. It travels inside an
// absl::Status as a payload, and leaves the server as google.rpc.ErrorInfo.

#ifndef WARMSTART_SERVER_BASE_ERROR_INFO_H_
#define WARMSTART_SERVER_BASE_ERROR_INFO_H_

#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace warmstart {

// Every reason that clients can meet. Part of the API: never change one.
namespace reason {
inline constexpr char kInvalidField[] = "INVALID_FIELD";
inline constexpr char kInvalidFile[] = "INVALID_FILE";
inline constexpr char kInvalidRule[] = "INVALID_RULE";
inline constexpr char kKeyCollision[] = "KEY_COLLISION";
inline constexpr char kArchitectureNotFound[] = "ARCHITECTURE_NOT_FOUND";
inline constexpr char kArchitectureBuiltIn[] = "ARCHITECTURE_BUILT_IN";
inline constexpr char kArchitectureInUse[] = "ARCHITECTURE_IN_USE";
inline constexpr char kCheckpointNotFound[] = "CHECKPOINT_NOT_FOUND";
inline constexpr char kCheckpointInUse[] = "CHECKPOINT_IN_USE";
inline constexpr char kAliasNotFound[] = "ALIAS_NOT_FOUND";
inline constexpr char kSubtreeNotFound[] = "SUBTREE_NOT_FOUND";
inline constexpr char kStrictNotMet[] = "STRICT_NOT_MET";
inline constexpr char kShapeMismatch[] = "SHAPE_MISMATCH";
inline constexpr char kDtypeMismatch[] = "DTYPE_MISMATCH";
inline constexpr char kCoverageNotMet[] = "COVERAGE_NOT_MET";
inline constexpr char kNonFiniteValues[] = "NON_FINITE_VALUES";
inline constexpr char kArchitectureNotNamed[] = "ARCHITECTURE_NOT_NAMED";
inline constexpr char kNoForward[] = "NO_FORWARD";
inline constexpr char kDeviceUnavailable[] = "DEVICE_UNAVAILABLE";
inline constexpr char kRequestIdReused[] = "REQUEST_ID_REUSED";
inline constexpr char kRequestAnswered[] = "REQUEST_ANSWERED";
inline constexpr char kFormatLacksDtype[] = "FORMAT_LACKS_DTYPE";
inline constexpr char kOutOfSpace[] = "OUT_OF_SPACE";
inline constexpr char kQuotaExceeded[] = "QUOTA_EXCEEDED";
inline constexpr char kOutOfMemory[] = "OUT_OF_MEMORY";
inline constexpr char kSourceDeleted[] = "SOURCE_DELETED";
inline constexpr char kUploadNotFound[] = "UPLOAD_NOT_FOUND";
inline constexpr char kUploadBusy[] = "UPLOAD_BUSY";
inline constexpr char kUploadOffset[] = "UPLOAD_OFFSET";
inline constexpr char kUploadIncomplete[] = "UPLOAD_INCOMPLETE";
inline constexpr char kTooManyUploads[] = "TOO_MANY_UPLOADS";
inline constexpr char kDataLoss[] = "DATA_LOSS";
inline constexpr char kTensorsMissing[] = "TENSORS_MISSING";
inline constexpr char kTensorNotFound[] = "TENSOR_NOT_FOUND";
}  // namespace reason

struct ErrorInfo {
  std::string reason;
  // E.g. {"key": "fc3.weight"}, {"field": "sources[0].checkpoint"}.
  std::map<std::string, std::string> metadata;
};

// `status` with the information added. A status that is OK, or that has some
// already (the one who saw the error first knows it best), stays as it is.
absl::Status WithErrorInfo(absl::Status status, absl::string_view reason,
                           std::map<std::string, std::string> metadata = {});

std::optional<ErrorInfo> GetErrorInfo(const absl::Status& status);

// INVALID_ARGUMENT for a field of a request, with its path: the message becomes
// "field: problem".
absl::Status InvalidField(absl::string_view field, absl::string_view problem);

}  // namespace warmstart

#endif  // WARMSTART_SERVER_BASE_ERROR_INFO_H_
