// DiffCheckpoints: what changed from one checkpoint to another.

#ifndef WARMSTART_SERVER_SERVICE_DIFF_CHECKPOINTS_H_
#define WARMSTART_SERVER_SERVICE_DIFF_CHECKPOINTS_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model/manifest_diff.h"
#include "server/model/resource_name.h"
#include "server/service/context.h"

namespace warmstart::service {

struct CheckpointDiff {
  // What the handles stood for.
  CheckpointName base;
  CheckpointName other;
  ManifestDiff diff;
};

// The handles are "checkpoints/{id}" or "aliases/{alias}".
//   INVALID_ARGUMENT  a handle that is none; the field is "base" or "other"
//   NOT_FOUND         no such checkpoint or alias
absl::StatusOr<CheckpointDiff> DiffCheckpoints(const Context& context,
                                               absl::string_view base,
                                               absl::string_view other);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_DIFF_CHECKPOINTS_H_
