// CollectGarbage: gives back to the disk what deletions leave behind.

#ifndef WARMSTART_SERVER_SERVICE_COLLECT_GARBAGE_H_
#define WARMSTART_SERVER_SERVICE_COLLECT_GARBAGE_H_

#include <cstdint>
#include <functional>
#include <optional>

#include "absl/status/statusor.h"
#include "server/service/context.h"
#include "server/store/maintenance/collection.h"

namespace warmstart::service {

// As the API's message of this name. What is not set is as the store has it.
struct CollectGarbageRequest {
  bool dry_run = false;
  std::optional<double> min_live_share;
  std::optional<int64_t> merge_below_bytes;
  std::optional<int64_t> max_written_bytes;
};

// Thread-safe. `is_cancelled` is asked between packs. INVALID_ARGUMENT for a
// threshold that makes no sense, with the field; others are as
// store::Store::CollectGarbage has them.
absl::StatusOr<store::Collection> CollectGarbage(
    const Context& context, const CollectGarbageRequest& request,
    std::function<bool()> is_cancelled);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_COLLECT_GARBAGE_H_
