// DiskStatus: tells clients that it was the disk that ran full.

#ifndef WARMSTART_SERVER_SERVICE_DISK_STATUS_H_
#define WARMSTART_SERVER_SERVICE_DISK_STATUS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/error_info.h"

namespace warmstart::service {

// What a draft of the store answered, with the reason OUT_OF_SPACE where it is
// RESOURCE_EXHAUSTED.
inline absl::Status DiskStatus(absl::Status status) {
  if (!absl::IsResourceExhausted(status)) return status;
  return WithErrorInfo(std::move(status), reason::kOutOfSpace);
}
template <typename T>
absl::StatusOr<T> DiskStatus(absl::StatusOr<T> result) {
  if (!absl::IsResourceExhausted(result.status())) return result;
  return DiskStatus(result.status());
}

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_DISK_STATUS_H_
