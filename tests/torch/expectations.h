// What PyTorch itself computes: the files that the make_*_expectations.py wrote
// for this build.

#ifndef WARMSTART_TESTS_TORCH_EXPECTATIONS_H_
#define WARMSTART_TESTS_TORCH_EXPECTATIONS_H_

#include <nlohmann/json.hpp>
#include <string>

#include "server/model/architecture.h"
#include "server/model/tensor_spec.h"
#include "server/torch/model_architecture.h"

namespace warmstart::backend::testing {

// The files, each read once.
const nlohmann::json& Expectations();
const nlohmann::json& DerivationExpectations();
const nlohmann::json& DeclaredExpectations();

// From an object with "dtype" and "shape".
TensorSpec SpecFromJson(const nlohmann::json& json);
// From one that has "hex" too.
OwnedTensor TensorFromJson(const nlohmann::json& json);
Initializer InitializerFromJson(const nlohmann::json& json);

// The schema of all initializers, dtypes and shapes that are compared.
Architecture SchemaFromExpectations();

}  // namespace warmstart::backend::testing

#endif  // WARMSTART_TESTS_TORCH_EXPECTATIONS_H_
