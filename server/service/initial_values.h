// Initial values: the tensors of a checkpoint that are how an architecture's
// entries begin.

#ifndef WARMSTART_SERVER_SERVICE_INITIAL_VALUES_H_
#define WARMSTART_SERVER_SERVICE_INITIAL_VALUES_H_

#include <string>

#include "absl/status/status.h"
#include "server/model/architecture.h"
#include "server/store/store.h"

namespace warmstart::service {

// Gives every StoredInit of `architecture` the key and the digest of its tensor
// in the checkpoint that `handle` names, and `architecture` that checkpoint.
//   INVALID_ARGUMENT  the checkpoint has no such tensor, or one of another
//   dtype
//                     or shape; there is a handle, but no StoredInit, or the
//                     other way round
//   NOT_FOUND         no such checkpoint
absl::Status ResolveInitialValues(store::Store& store,
                                  const std::string& handle,
                                  Architecture& architecture);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_INITIAL_VALUES_H_
