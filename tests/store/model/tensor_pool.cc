#include "tests/store/model/tensor_pool.h"

#include <algorithm>
#include <utility>

#include "tests/store/store_test_util.h"

namespace warmstart::store {
namespace {

constexpr uint32_t kNumLarge = 48;
constexpr uint32_t kNumSmall = 16;

}  // namespace

// Two or three large ones are too much for the catalog, and make a pack.
TensorPool::TensorPool() {
  for (uint32_t i = 0; i < kNumLarge; ++i) {
    Add(RandomBytes(50'000 + 1'700 * i, i), std::nullopt, 0);
  }
  for (uint32_t i = 0; i < kNumSmall; ++i) {
    Add(RandomBytes(1 + 300 * i, 1'000 + i), std::nullopt, 0);
  }
  for (size_t storage = 0; storage < kNumLarge; storage += 4) {
    const std::string bytes = tensors_[storage].bytes;
    Add(bytes.substr(0, 20'000), storage, 0);
    Add(bytes.substr(10'000, 25'000), storage, 10'000);
  }
}

std::vector<size_t> TensorPool::Draw(std::mt19937& random, size_t most) const {
  std::vector<size_t> drawn;
  const size_t count = 1 + random() % most;
  while (drawn.size() < count) {
    const size_t index = random() % tensors_.size();
    drawn.push_back(index);
    const std::optional<size_t> storage = tensors_[index].storage;
    if (storage.has_value() && random() % 4 != 0) drawn.push_back(*storage);
  }
  std::sort(drawn.begin(), drawn.end());
  drawn.erase(std::unique(drawn.begin(), drawn.end()), drawn.end());
  return drawn;
}

void TensorPool::Add(std::string bytes, std::optional<size_t> storage,
                     int64_t offset) {
  PoolTensor tensor;
  tensor.blob = BlobOf(bytes);
  tensor.entry = EntryOf("", bytes);
  tensor.bytes = std::move(bytes);
  tensor.storage = storage;
  tensor.offset = offset;
  tensors_.push_back(std::move(tensor));
}

}  // namespace warmstart::store
