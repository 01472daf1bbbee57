// Specs of tensors, for tests of what goes into models and comes out.

#ifndef WARMSTART_TESTS_SERVICE_SPECS_H_
#define WARMSTART_TESTS_SERVICE_SPECS_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "server/model/tensor_spec.h"

namespace warmstart::service {

// Of sizes that are none to be refused.
inline TensorSpec SpecOf(std::vector<int64_t> sizes,
                         DType dtype = DType::kFloat32) {
  return TensorSpec::Create(dtype, Shape::Create(std::move(sizes)).value())
      .value();
}

}  // namespace warmstart::service

#endif  // WARMSTART_TESTS_SERVICE_SPECS_H_
