// The model of an architecture that was registered.

#ifndef WARMSTART_SERVER_SERVICE_REGISTERED_MODEL_H_
#define WARMSTART_SERVER_SERVICE_REGISTERED_MODEL_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/model/architecture.h"
#include "server/service/model_cache.h"

namespace warmstart::service {

// Gives an architecture that is declared as a module the entries and modules
// that it has in torch.nn; others are left alone.
//   INVALID_ARGUMENT  torch.nn has no such module, or it has other entries than
//                     are given; with the field
absl::Status TakeFromModule(Architecture& architecture);

// `architecture` has passed ValidateArchitecture and TakeFromModule.
//   FAILED_PRECONDITION  it did so in another version of this program, in which
//                        its module was another
absl::StatusOr<ModelPtr> MakeRegisteredModel(Architecture architecture);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_REGISTERED_MODEL_H_
