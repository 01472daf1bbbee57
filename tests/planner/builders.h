// Short ways to write manifests and architectures in the planner's tests.

#ifndef WARMSTART_TESTS_PLANNER_BUILDERS_H_
#define WARMSTART_TESTS_PLANNER_BUILDERS_H_

#include <string>
#include <utility>
#include <vector>

#include "server/model/architecture.h"
#include "server/model/derivation.h"
#include "server/model/manifest.h"
#include "server/planner/plan.h"

namespace warmstart::planner {

struct Tensor {
  std::string key;
  std::vector<int64_t> sizes;
  DType dtype = DType::kFloat32;
};

inline TensorSpec SpecOf(const Tensor& tensor) {
  return TensorSpec::Create(tensor.dtype, Shape::Create(tensor.sizes).value())
      .value();
}

inline Manifest MakeManifest(const std::vector<Tensor>& tensors) {
  Manifest manifest;
  for (const Tensor& tensor : tensors) {
    manifest.entries.push_back(
        {tensor.key, SpecOf(tensor), Digest::Of(tensor.key), std::nullopt});
  }
  return manifest;
}

inline Architecture MakeArchitecture(std::string name,
                                     const std::vector<Tensor>& tensors) {
  Architecture architecture;
  architecture.name = std::move(name);
  for (const Tensor& tensor : tensors) {
    architecture.entries.push_back(
        {tensor.key, SpecOf(tensor), EntryKind::kParameter, ConstantInit{0}});
  }
  return architecture;
}

// The tensor that an entry is loaded from, unchanged; source -1 where it is
// initialised or computed.
inline SourceOp LoadedFrom(const Assignment& assignment) {
  const SourceOp* source =
      assignment.value == nullptr ? nullptr : AsSourceTensor(*assignment.value);
  return source == nullptr ? SourceOp{-1, 0} : *source;
}

}  // namespace warmstart::planner

#endif  // WARMSTART_TESTS_PLANNER_BUILDERS_H_
