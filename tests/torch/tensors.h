// Tensors, load entries and devices for the tests of server/torch.

#ifndef WARMSTART_TESTS_TORCH_TENSORS_H_
#define WARMSTART_TESTS_TORCH_TENSORS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "gtest/gtest.h"
#include "server/model/architecture.h"
#include "server/model/derivation.h"
#include "server/torch/model_architecture.h"

namespace warmstart::backend::testing {

TensorSpec Spec(DType dtype, std::vector<int64_t> sizes);
HostTensor View(const OwnedTensor& tensor);
std::vector<HostTensor> Views(const std::vector<OwnedTensor>& tensors);
OwnedTensor Floats(std::vector<int64_t> sizes,
                   const std::vector<float>& values);
std::vector<float> ToFloats(absl::string_view bytes);

// A tensor of the entry's spec, for the outputs of a load.
OwnedTensor Blank(const ArchitectureEntry& entry);

// What asks for fresh values of an entry, written to `output`.
LoadEntry Fresh(int64_t entry, OwnedTensor& output);
// What asks for `value` in output's dtype.
LoadEntry Load(int64_t entry, const DerivationPtr& value, OwnedTensor& output);

// Source 0 of a load: tensors in the order in which they were added.
class Sources {
 public:
  // The leaf for a tensor, whose bytes the caller keeps. The leaf lives as long
  // as this object.
  DerivationPtr Add(const HostTensor& tensor);
  DerivationPtr Add(const OwnedTensor& tensor) { return Add(View(tensor)); }

  HostTensor operator()(const SourceOp& op) const;

 private:
  std::vector<HostTensor> tensors_;
  std::vector<DerivationPtr> leaves_;
};

// Blank tensors of every entry, and what asks for fresh values of all of them.
std::vector<OwnedTensor> BlankState(const Architecture& schema);
std::vector<LoadEntry> FreshLoads(std::vector<OwnedTensor>& state);

// Fresh values of every entry.
absl::StatusOr<std::vector<OwnedTensor>> FreshState(
    const ModelArchitecture& architecture, const Device& device, uint64_t seed);
// Loads the model and runs it on one input.
absl::StatusOr<OwnedTensor> Run(const ModelArchitecture& architecture,
                                const Device& device,
                                const std::vector<HostTensor>& state,
                                const HostTensor& input);
// Fresh values of one.
absl::StatusOr<OwnedTensor> FreshEntry(const ModelArchitecture& architecture,
                                       const Device& device, uint64_t seed,
                                       int64_t entry);

// Bytes that begin `offset` bytes after an aligned address.
class OffsetBytes {
 public:
  OffsetBytes(size_t size, size_t offset)
      : buffer_(size + kAlignment + offset), size_(size) {
    const auto address = reinterpret_cast<uintptr_t>(buffer_.data());
    begin_ = (kAlignment - address % kAlignment) % kAlignment + offset;
  }

  absl::Span<char> span() {
    return absl::Span<char>(buffer_.data() + begin_, size_);
  }
  absl::string_view view() const {
    return absl::string_view(buffer_.data() + begin_, size_);
  }

 private:
  static constexpr size_t kAlignment = 64;

  std::vector<char> buffer_;
  size_t begin_ = 0;
  size_t size_;
};

// Instantiates tests that run on every kind of device; their parameter is the
// device's name.
#define INSTANTIATE_FOR_DEVICES(suite)                        \
  INSTANTIATE_TEST_SUITE_P(                                   \
      On, suite, ::testing::Values("cpu", "cuda"),            \
      [](const ::testing::TestParamInfo<std::string>& info) { \
        return info.param;                                    \
      })

// Ends a test, visibly, where its device is not there.
#define SKIP_WITHOUT_DEVICE(device)                                     \
  if ((device) != "cpu" && ::warmstart::backend::CudaDeviceCount() < 1) \
  GTEST_SKIP() << ::warmstart::backend::ResolveDevice(device).status().message()

}  // namespace warmstart::backend::testing

#endif  // WARMSTART_TESTS_TORCH_TENSORS_H_
