// TensorTable: where the torch readers put the tensors that they find, and
// where all that a tensor claims is checked.

#ifndef WARMSTART_SERVER_FORMAT_TORCH_TENSOR_TABLE_H_
#define WARMSTART_SERVER_FORMAT_TORCH_TENSOR_TABLE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "server/format/file_contents.h"
#include "server/format/torch/pickled_tensor.h"
#include "server/model/dtype.h"

namespace warmstart::format {

// A storage, or a part of one, that tensors may view.
struct StorageWindow {
  int32_t storage = 0;  // index into FileContents::storages
  int64_t first_byte = 0;
  int64_t num_bytes = 0;
};

class TensorTable {
 public:
  // What the values of all distinct views together may take: this many times
  // the file, and a bit. A few stored bytes can stand for any number of
  // elements (strides of 0, overlapping views), and whoever stores the values
  // pays.
  static constexpr int64_t kMaxExpansion = 8;
  static constexpr int64_t kExpansionAllowance = int64_t{64} << 20;

  // Adds to `contents`, which must outlive this.
  TensorTable(int64_t file_bytes, FileContents* contents);

  // INVALID_ARGUMENT, naming the key, for a bad or repeated key, a shape or
  // strides that no tensor has, elements outside of the window, and values that
  // expand too much. Nothing was added then.
  absl::Status Add(const std::string& key, DType dtype,
                   const StorageWindow& window, const PickledTensor& tensor);

 private:
  using View = std::tuple<int32_t, int64_t, DType, std::vector<int64_t>,
                          std::vector<int64_t>>;

  absl::Status AddChecked(const std::string& key, DType dtype,
                          const StorageWindow& window,
                          const PickledTensor& tensor);

  FileContents& contents_;
  int64_t bytes_left_;
  absl::flat_hash_set<std::string> keys_;
  absl::flat_hash_set<View> views_;
};

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_TORCH_TENSOR_TABLE_H_
