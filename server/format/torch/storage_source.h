// StorageSource: what a container format knows of the persistent ids in its
// pickle. The walk over the pickle's values is the same for all of them.

#ifndef WARMSTART_SERVER_FORMAT_TORCH_STORAGE_SOURCE_H_
#define WARMSTART_SERVER_FORMAT_TORCH_STORAGE_SOURCE_H_

#include "absl/status/statusor.h"
#include "server/format/pickle/pickle_heap.h"
#include "server/format/torch/pickled_tensor.h"
#include "server/format/torch/tensor_table.h"

namespace warmstart::format {

struct ResolvedStorage {
  StorageClass storage_class;
  StorageWindow window;
};

class StorageSource {
 public:
  virtual ~StorageSource() = default;

  // Finds what PickledTensor::storage stands for. INVALID_ARGUMENT where it
  // stands for nothing, or for bytes that are not there.
  virtual absl::StatusOr<ResolvedStorage> Resolve(PickleId storage) = 0;

  // The tensor that a persistent id stands for; nullptr where it is none. Only
  // the tar format has such.
  virtual const PickledTensor* FindTensor(PickleId /*persistent*/) const {
    return nullptr;
  }
};

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_TORCH_STORAGE_SOURCE_H_
