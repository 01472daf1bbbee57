// Check: whether a store's catalog and its files agree.

#ifndef WARMSTART_SERVER_STORE_MAINTENANCE_CHECK_H_
#define WARMSTART_SERVER_STORE_MAINTENANCE_CHECK_H_

#include "absl/status/statusor.h"
#include "server/store/care.h"
#include "server/store/catalog.h"
#include "server/store/pack_store.h"

namespace warmstart::store {

// As Store::Check. Saves and deletions that run meanwhile are no findings.
absl::StatusOr<CheckResult> CheckStore(PackStore& packs, Catalog& catalog);

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_MAINTENANCE_CHECK_H_
