#include "server/service/diff_checkpoints.h"

#include "server/base/status_macros.h"
#include "server/service/handles.h"

namespace warmstart::service {

absl::StatusOr<CheckpointDiff> DiffCheckpoints(const Context& context,
                                               absl::string_view base,
                                               absl::string_view other) {
  store::Store& store = *context.store;
  ASSIGN_OR_RETURN(const store::Checkpoint older,
                   FindCheckpoint(store, "base", base));
  ASSIGN_OR_RETURN(const store::Checkpoint newer,
                   FindCheckpoint(store, "other", other));
  ASSIGN_OR_RETURN(const auto before, store.GetManifest(older.name));
  ASSIGN_OR_RETURN(const auto after, store.GetManifest(newer.name));
  return CheckpointDiff{older.name, newer.name, DiffManifests(*before, *after)};
}

}  // namespace warmstart::service
