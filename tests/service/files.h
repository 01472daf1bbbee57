// Checkpoint files, made in memory.

#ifndef WARMSTART_TESTS_SERVICE_FILES_H_
#define WARMSTART_TESTS_SERVICE_FILES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "server/model/dtype.h"
#include "server/model/manifest.h"

namespace warmstart::service {

// A tensor and its values: contiguous, row-major, little-endian.
struct Tensor {
  std::string key;
  DType dtype = DType::kFloat32;
  std::vector<int64_t> sizes;
  std::string bytes;
};

// The bytes of numbers of some type.
template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()),
                     values.size() * sizeof(T));
}

// A float32 tensor whose values depend on its key and `seed`.
Tensor FloatTensor(const std::string& key, std::vector<int64_t> sizes,
                   int seed = 0);

// A state_dict of the recipe's NetA and NetB, which have the same keys.
std::vector<Tensor> RecipeTensors(int seed = 0);

// A .safetensors file, tensors in the order given.
std::string MakeSafetensors(const std::vector<Tensor>& tensors);
// What torch.save writes for an OrderedDict of these.
std::string MakeTorchFile(const std::vector<Tensor>& tensors);

}  // namespace warmstart::service

#endif  // WARMSTART_TESTS_SERVICE_FILES_H_
