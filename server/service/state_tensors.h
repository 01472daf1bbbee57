// OpenState: the tensors of a checkpoint that make a model of an architecture.

#ifndef WARMSTART_SERVER_SERVICE_STATE_TENSORS_H_
#define WARMSTART_SERVER_SERVICE_STATE_TENSORS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "server/model/architecture.h"
#include "server/model/resource_name.h"
#include "server/store/store.h"
#include "server/torch/model_architecture.h"

namespace warmstart::service {

// One tensor for each entry of `schema`, in its order, as
// load_state_dict(strict=True) takes them; dtypes may differ. Bytes are not
// copied.
//   FAILED_PRECONDITION  keys are missing or unexpected, or shapes differ; in
//                        PyTorch's words
//   ABORTED              a tensor was deleted meanwhile
//   NOT_FOUND            the checkpoint was
absl::StatusOr<std::vector<backend::StateTensor>> OpenState(
    store::Store& store, const CheckpointName& checkpoint,
    const Architecture& schema);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_STATE_TENSORS_H_
