// What a request that was answered before is answered again.

#ifndef WARMSTART_SERVER_SERVICE_STORED_RESULT_H_
#define WARMSTART_SERVER_SERVICE_STORED_RESULT_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "server/model/digest.h"
#include "server/service/save_model.h"
#include "server/store/store.h"

namespace warmstart::service {

// The checkpoint that a request with this id made; nullopt where the id is
// empty or new. INVALID_ARGUMENT when it was another request.
absl::StatusOr<std::optional<store::Checkpoint>> FindEarlier(
    store::Store& store, const std::string& request_id,
    const Digest& fingerprint);

// The answer to SaveModel, from the checkpoint that it made.
absl::StatusOr<SaveModelResult> StoredSaveResult(store::Checkpoint checkpoint);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_STORED_RESULT_H_
