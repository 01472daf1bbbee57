// ShareStorages: which tensors of a loaded model are one, or parts of one.

#ifndef WARMSTART_SERVER_SERVICE_SHARED_STORAGES_H_
#define WARMSTART_SERVER_SERVICE_SHARED_STORAGES_H_

#include "absl/types/span.h"
#include "server/model/architecture.h"
#include "server/model/manifest.h"
#include "server/planner/plan.h"

namespace warmstart::service {

// Gives entries of `result`, whose digests are known, the storages that they
// share in a written file:
//   - an entry that the target ties to another, where both hold the same
//     values: one tensor under two names;
//   - tensors of a source that share a storage there, at least two of which are
//     loaded unchanged: they share it here, too. Of several entries that are
//     loaded from one tensor, the first alone takes part: copies of a layer are
//     to be trained apart.
void ShareStorages(const Architecture& target,
                   absl::Span<const planner::Assignment> assignments,
                   absl::Span<const Manifest* const> sources, Manifest& result);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_SHARED_STORAGES_H_
