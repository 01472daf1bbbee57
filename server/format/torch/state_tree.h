// The walk over the values of a pickle: from the nested dicts, lists and
// objects of a checkpoint to the flat keys, subtrees and metadata of
// FileContents.
//
//   dicts, lists    their members, under the path of keys joined with dots
//   torch.nn.Module the keys that its state_dict() would have
//   other objects   their attributes, as a dict's members; the object itself is
//                   reported as skipped, and read at the first path alone
//   tensors         FileContents::tensors
//   scalars         FileContents::metadata_json
//   the rest        FileContents::skipped
//
// A list with members that are no plain values is an object in the metadata,
// keyed by index, so that paths mean the same everywhere.

#ifndef WARMSTART_SERVER_FORMAT_TORCH_STATE_TREE_H_
#define WARMSTART_SERVER_FORMAT_TORCH_STATE_TREE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/format/file_contents.h"
#include "server/format/pickle/pickle_heap.h"
#include "server/format/torch/storage_source.h"

namespace warmstart::format {

// Deeper containers are an error, deeper objects are skipped.
inline constexpr int kMaxNesting = 256;

// Fills all of `contents` but its format and storages from the value `root`.
// `file` is the whole file, whose pickles have `pickle_bytes`; what the values
// expand to when they are shared is bounded by the latter.
//
// INVALID_ARGUMENT, naming the key or the offset, for what TensorTable refuses,
// keys that are no UTF-8, deep nesting and values that expand too much.
absl::Status ReadStateTree(const PickleHeap& heap, PickleId root,
                           absl::string_view file, int64_t pickle_bytes,
                           StorageSource& storages, FileContents* contents);

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_TORCH_STATE_TREE_H_
