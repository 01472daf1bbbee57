// Says which tensor of a checkpoint an error of the store is about.

#ifndef WARMSTART_SERVER_SERVICE_LOST_TENSOR_H_
#define WARMSTART_SERVER_SERVICE_LOST_TENSOR_H_

#include "absl/status/status.h"
#include "server/model/manifest.h"
#include "server/model/resource_name.h"

namespace warmstart::service {

// Where `status` is the store's DATA_LOSS of bytes that `manifest`, the
// checkpoint's, names: the same with the checkpoint and the key of the first
// tensor that needs them, in words and in its metadata. Else as it is.
absl::Status NameLostTensor(const absl::Status& status,
                            const CheckpointName& checkpoint,
                            const Manifest& manifest);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_LOST_TENSOR_H_
