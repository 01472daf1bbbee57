// What a pickle says of tensors and storages: the calls of torch._utils that
// would rebuild them, read as data.

#ifndef WARMSTART_SERVER_FORMAT_TORCH_PICKLED_TENSOR_H_
#define WARMSTART_SERVER_FORMAT_TORCH_PICKLED_TENSOR_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/format/pickle/pickle_heap.h"
#include "server/model/dtype.h"

namespace warmstart::format {

// A tensor, as told and not yet checked.
struct PickledTensor {
  PickleId storage = kNoPickleId;  // what stands for its storage
  // Where the tensor tells it and not its storage.
  std::optional<DType> dtype;
  int64_t offset = 0;  // elements
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;
};

// A value that stands for a tensor, but not for one that can be read.
struct UnreadableTensor {
  std::string reason;  // "sparse tensor"
};

// A persistent id in the place of a tensor, as the tar format has.
struct TensorReference {
  PickleId persistent = kNoPickleId;
};

struct NoTensor {};

using TensorValue =
    std::variant<NoTensor, PickledTensor, TensorReference, UnreadableTensor>;

// What `id` is, as far as tensors go. Looks through Parameters and Variables.
// INVALID_ARGUMENT when a call has other arguments than PyTorch gives it.
absl::StatusOr<TensorValue> DecodeTensor(const PickleHeap& heap, PickleId id);

// The class of a storage: torch.FloatStorage and its like.
struct StorageClass {
  PickleId type = kNoPickleId;  // GlobalName tells it to people
  int element_size = 0;         // bytes; 0 for a class that PyTorch never had
  std::optional<DType> dtype;   // unset for quantized and for untyped ones
  bool untyped = false;
};

StorageClass DecodeStorageClass(const PickleHeap& heap, PickleId id);

// A storage that is a part of another one; the legacy format alone has such.
struct PickledStorageView {
  int64_t offset = 0;  // elements of the root storage
  int64_t size = 0;    // elements
};

// The persistent id of a storage: ("storage", class, key, location, size) and
// in the legacy format (key of the view, offset, size) or None.
struct PickledStorage {
  StorageClass storage_class;
  absl::string_view key;
  int64_t size = 0;  // elements of the class
  std::optional<PickledStorageView> view;
};

// INVALID_ARGUMENT for anything else than a kPersistent of that form.
absl::StatusOr<PickledStorage> DecodeStorage(const PickleHeap& heap,
                                             PickleId id);

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_TORCH_PICKLED_TENSOR_H_
