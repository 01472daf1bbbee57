// Files of a few tensors in memory: what goes into a model and comes out of it.

#ifndef WARMSTART_SERVER_SERVICE_TENSOR_FILE_H_
#define WARMSTART_SERVER_SERVICE_TENSOR_FILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/service/file_format.h"
#include "server/torch/model_architecture.h"

namespace warmstart::service {

struct NamedTensor {
  std::string name;
  backend::OwnedTensor tensor;
};

// The tensors of a file of any format that the server reads, in its order.
// Those of a list have no name: their position counts. INVALID_ARGUMENT for a
// malformed file, one with values that are no plain tensors, and one whose
// tensors take more than `max_bytes`, however small it is itself.
absl::StatusOr<std::vector<NamedTensor>> ReadTensorFile(absl::string_view file,
                                                        int64_t max_bytes);

// A file of a dict of tensors by name; names are not there twice.
// FAILED_PRECONDITION for a dtype that the format lacks.
absl::StatusOr<std::string> WriteTensorFile(
    absl::Span<const backend::ModelOutput> tensors, FileFormat format);

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_TENSOR_FILE_H_
