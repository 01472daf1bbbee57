// The values of a tensor as numbers, to be shown.

#ifndef WARMSTART_CLIENT_CLI_TENSOR_NUMBERS_H_
#define WARMSTART_CLIENT_CLI_TENSOR_NUMBERS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "warmstart/v1/model_initializer.pb.h"

namespace warmstart::client {

// In row-major order; those of 64-bit integers are rounded.
//   INVALID_ARGUMENT  a dtype whose values are not single numbers (complex), or
//                     that nobody reads as such (float8)
//   DATA_LOSS         more or fewer bytes than the shape takes
absl::StatusOr<std::vector<double>> NumbersOf(const v1::Tensor& tensor);

}  // namespace warmstart::client

#endif  // WARMSTART_CLIENT_CLI_TENSOR_NUMBERS_H_
