// TensorPool: tensors that many checkpoints have in common, with all that is
// costly to compute of them. Some are a part of another one, as views are.

#ifndef WARMSTART_TESTS_STORE_MODEL_TENSOR_POOL_H_
#define WARMSTART_TESTS_STORE_MODEL_TENSOR_POOL_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "server/model/manifest.h"
#include "server/store/store.h"

namespace warmstart::store {

struct PoolTensor {
  std::string bytes;
  Blob blob;
  ManifestEntry entry;  // without a key
  // Where these bytes stand in those of another tensor.
  std::optional<size_t> storage;
  int64_t offset = 0;
};

class TensorPool {
 public:
  TensorPool();

  size_t size() const { return tensors_.size(); }
  const PoolTensor& operator[](size_t index) const { return tensors_[index]; }

  // One to `most` different tensors, a storage often with its views.
  std::vector<size_t> Draw(std::mt19937& random, size_t most) const;

 private:
  void Add(std::string bytes, std::optional<size_t> storage, int64_t offset);

  std::vector<PoolTensor> tensors_;
};

}  // namespace warmstart::store

#endif  // WARMSTART_TESTS_STORE_MODEL_TENSOR_POOL_H_
