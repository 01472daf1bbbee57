// Scrub: reads all that a store keeps, before somebody needs it.

#ifndef WARMSTART_SERVER_STORE_MAINTENANCE_SCRUB_H_
#define WARMSTART_SERVER_STORE_MAINTENANCE_SCRUB_H_

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "server/base/clock.h"
#include "server/store/care.h"
#include "server/store/catalog.h"
#include "server/store/pack_store.h"

namespace warmstart::store {

// As Store::Scrub. `on_damage` is told of each blob that was found to
// be damaged. Memory is bounded, whatever the store has; nothing is locked
// while bytes are read.
absl::StatusOr<ScrubResult> ScrubBlobs(
    PackStore& packs, Catalog& catalog, Clock& clock, ScrubReporter report,
    absl::FunctionRef<void(const BlobLocation&)> on_damage);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_MAINTENANCE_SCRUB_H_
