// Retention: the use case of deleting what has expired, or what newer
// checkpoints took the place of.

#ifndef WARMSTART_SERVER_SERVICE_RETENTION_H_
#define WARMSTART_SERVER_SERVICE_RETENTION_H_

#include <vector>

#include "absl/status/statusor.h"
#include "server/service/context.h"
#include "server/store/store.h"

namespace warmstart::service {

struct RetentionRequest {
  bool validate_only = false;
  int max_count = 1000;  // at least 1
};

struct RetentionResult {
  // What was deleted, or would be.
  std::vector<store::RetiredCheckpoint> checkpoints;
  bool has_more = false;  // there is more to delete than max_count
};

// Deletes what is to go by `context.retention_rules` and the time, one
// checkpoint after another, and logs each; others may read and write meanwhile.
// What was deleted before an error stays deleted. Thread-safe.
absl::StatusOr<RetentionResult> ApplyRetention(const Context& context,
                                               const RetentionRequest& request);

// For a Housekeeper: deletes a few, and tells whether there are more.
absl::StatusOr<bool> ApplyRetentionToSome(const Context& context);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_RETENTION_H_
