// The errors that a store's callers meet, worded once for all catalogs.

#ifndef WARMSTART_SERVER_STORE_ERRORS_H_
#define WARMSTART_SERVER_STORE_ERRORS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/model/digest.h"
#include "server/model/resource_name.h"

namespace warmstart::store {

absl::Status CheckpointNotFound(const CheckpointName& name);
absl::Status AliasNotFound(const AliasName& alias);
absl::Status ArchitectureNotFound(const ArchitectureName& name);
absl::Status BlobNotFound(const Digest& digest);
// DATA_LOSS: it is in quarantine since `damage_time`.
absl::Status BlobDamaged(const Digest& digest, absl::Time damage_time);

// FAILED_PRECONDITION: `aliases` point to it.
absl::Status CheckpointInUse(const CheckpointName& name,
                             const std::vector<AliasName>& aliases);
// FAILED_PRECONDITION: it has the initial values of `architecture`.
absl::Status InitialValuesInUse(const CheckpointName& name,
                                const ArchitectureName& architecture);
// FAILED_PRECONDITION: checkpoints name it, `example` among them.
absl::Status ArchitectureInUse(const ArchitectureName& name,
                               const CheckpointName& example);

// INVALID_ARGUMENT: the id was used for another request.
absl::Status RequestIdReused(absl::string_view request_id);
// ABORTED: the tensor or shared storage `what` is not, or no longer, there.
absl::Status SourceDeleted(absl::string_view what, const Digest& digest);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_ERRORS_H_
