#include "server/service/handles.h"

#include <string>

#include "absl/strings/match.h"
#include "server/base/error_info.h"

namespace warmstart::service {

absl::StatusOr<store::Checkpoint> FindCheckpoint(store::Store& store,
                                                 absl::string_view field,
                                                 absl::string_view handle) {
  if (handle.empty()) return InvalidField(field, "is required");
  const absl::StatusOr<CheckpointName> name = store.Resolve(handle);
  if (absl::IsInvalidArgument(name.status())) {
    return InvalidField(field, name.status().message());
  }
  absl::StatusOr<store::Checkpoint> checkpoint =
      name.ok() ? store.GetCheckpoint(*name) : name.status();
  if (absl::IsNotFound(checkpoint.status())) {
    const bool is_alias = absl::StartsWith(handle, "aliases/");
    return WithErrorInfo(
        checkpoint.status(),
        is_alias ? reason::kAliasNotFound : reason::kCheckpointNotFound,
        {{is_alias ? "alias" : "checkpoint", std::string(handle)}});
  }
  return checkpoint;
}

}  // namespace warmstart::service
