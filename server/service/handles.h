// Handles: the names by which requests refer to checkpoints.

#ifndef WARMSTART_SERVER_SERVICE_HANDLES_H_
#define WARMSTART_SERVER_SERVICE_HANDLES_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/store/store.h"

namespace warmstart::service {

// The checkpoint that "checkpoints/{id}" or "aliases/{alias}" names. `field` is
// the request's, for the message. INVALID_ARGUMENT and NOT_FOUND come with a
// reason that clients can act on.
absl::StatusOr<store::Checkpoint> FindCheckpoint(store::Store& store,
                                                 absl::string_view field,
                                                 absl::string_view handle);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_HANDLES_H_
