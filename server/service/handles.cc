#include "server/service/handles.h"

#include "server/base/error_info.h"
#include "server/base/status_macros.h"

namespace warmstart::service {
namespace {

// An alias is looked up; whether a checkpoint is there, its row will tell.
absl::StatusOr<CheckpointName> NameOf(store::Store& store,
                                      absl::string_view handle) {
  absl::StatusOr<CheckpointName> name = CheckpointName::Parse(handle);
  return name.ok() ? name : store.Resolve(handle);
}

}  // namespace

absl::StatusOr<store::Checkpoint> FindCheckpoint(store::Store& store,
                                                 absl::string_view field,
                                                 absl::string_view handle) {
  if (handle.empty()) return InvalidField(field, "is required");
  const absl::StatusOr<CheckpointName> name = NameOf(store, handle);
  if (absl::IsInvalidArgument(name.status())) {
    return InvalidField(field, name.status().message());
  }
  RETURN_IF_ERROR(name.status());
  return store.GetCheckpoint(*name);
}

}  // namespace warmstart::service
