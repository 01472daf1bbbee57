// ForwardInputs: the tensors that a Forward request sends, or asks to be drawn.

#ifndef WARMSTART_SERVER_SERVICE_FORWARD_INPUTS_H_
#define WARMSTART_SERVER_SERVICE_FORWARD_INPUTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/model/tensor_spec.h"
#include "server/torch/model_architecture.h"

namespace warmstart::service {

// Values to be drawn, as the API's RandomTensor says.
struct RandomValues {
  uint64_t seed = 0;
  std::optional<int64_t> high;
};

struct ForwardInput {
  std::string name;  // "" where the position counts
  TensorSpec spec;
  // Row-major, little-endian; borrowed.
  std::variant<absl::string_view, RandomValues> values;
};

// The inputs of one call, with those values that nobody else owns.
class ForwardInputs {
 public:
  // The inputs, or those of the file; exactly one of both has some.
  // INVALID_ARGUMENT, with the field, for values that do not fit their spec,
  // are too many or cannot be drawn, names for some of the inputs alone or
  // there twice, and a file that ReadTensorFile refuses.
  static absl::StatusOr<ForwardInputs> Make(
      absl::Span<const ForwardInput> inputs, absl::string_view file);

  // They live as long as this object and the request.
  std::vector<backend::ModelInput> Views() const;

 private:
  struct Input {
    std::string name;
    TensorSpec spec;
    absl::string_view borrowed;
    std::string owned;  // counts where it is not empty
  };

  absl::Status Add(const ForwardInput& input, absl::string_view field);
  absl::Status AddFile(absl::string_view file);
  absl::Status CheckNames() const;

  std::vector<Input> inputs_;
  int64_t num_bytes_ = 0;
};

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_FORWARD_INPUTS_H_
