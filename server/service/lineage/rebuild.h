// Rebuild: the manifest that a checkpoint's origin gives today. Each function
// makes it as the checkpoint was made, and stores nothing.

#ifndef WARMSTART_SERVER_SERVICE_LINEAGE_REBUILD_H_
#define WARMSTART_SERVER_SERVICE_LINEAGE_REBUILD_H_

#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "server/model/manifest.h"
#include "server/model/resource_name.h"
#include "server/service/context.h"
#include "server/service/origin.h"
#include "server/service/warm_start_request.h"
#include "server/store/store.h"

namespace warmstart::service {

struct Rebuilt {
  Manifest manifest;
  // The device that was used in place of the origin's, which is not here; ""
  // for the same one. Bits of what is computed or drawn may differ there.
  std::string other_device;
  // The checkpoint that the architecture's initial values were taken from.
  std::optional<CheckpointName> initial_values = std::nullopt;
};

// Of an upload: reads every tensor, on all cores. One whose bytes are lost is
// left out.
//   CANCELLED  `cancelled`, which several threads ask, said so
//   ABORTED    the checkpoint was deleted meanwhile
absl::StatusOr<Rebuilt> RebuildUpload(const Context& context,
                                      const store::Checkpoint& checkpoint,
                                      absl::FunctionRef<bool()> cancelled);

// Of a fresh model: draws it again.
//   FAILED_PRECONDITION  its architecture is no longer there, or not the same
// Other errors are LoadModel's.
absl::StatusOr<Rebuilt> RebuildFresh(const Context& context,
                                     const store::Checkpoint& checkpoint,
                                     const InitializationOrigin& origin);

// Of a warm start: `request` with the architecture, sources, seed and device of
// the record, which it need not have.
//   FAILED_PRECONDITION  its architecture or a source is no longer there
//   INVALID_ARGUMENT     this server does not take the request
// Other errors are LoadModel's.
absl::StatusOr<Rebuilt> RebuildWarmStart(const Context& context,
                                         const store::Checkpoint& checkpoint,
                                         const WarmStartOrigin& origin,
                                         WarmStartRequest request);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_LINEAGE_REBUILD_H_
