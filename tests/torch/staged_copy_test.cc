#include "server/torch/staged_copy.h"

#include <ATen/Functions.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/torch/edge.h"
#include "server/torch/tensor_bridge.h"
#include "tests/testing/status_matchers.h"
#include "tests/torch/tensors.h"

namespace warmstart::backend {
namespace {

constexpr int64_t kBuffer = 1000;

std::string SomeBytes(size_t count, int seed) {
  std::string bytes(count, '\0');
  for (size_t i = 0; i < count; ++i) {
    bytes[i] = static_cast<char>((i * 2654435761u + seed * 97u) >> 11);
  }
  return bytes;
}

// The way over the buffers is taken with the CPU for a device, too.
class StagedCopyTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    SKIP_WITHOUT_DEVICE(GetParam());
    device_ = ToAtDevice(ResolveDevice(GetParam()).value());
  }

  at::Tensor OnDevice(size_t count) const {
    return at::empty({static_cast<int64_t>(count)},
                     at::dtype(at::kByte).device(device_));
  }

  static std::string Back(const at::Tensor& tensor) {
    const at::Tensor here = tensor.to(at::kCPU);
    return {static_cast<const char*>(here.data_ptr()),
            static_cast<size_t>(here.numel())};
  }

  at::Device device_{at::kCPU};
};

INSTANTIATE_FOR_DEVICES(StagedCopyTest);

// In one buffer, in several, over the end of the last, and to the byte.
TEST_P(StagedCopyTest, BytesOfAnySizeArriveInOrder) {
  std::vector<std::string> all;
  std::vector<at::Tensor> tensors;
  ASSERT_OK(GuardTorch([&] {
    StagedCopy copy(device_, kBuffer);
    int seed = 0;
    for (const size_t count : {1, 0, 999, 1000, 1, 998, 1001, 2, 12'345, 7}) {
      all.push_back(SomeBytes(count, ++seed));
      tensors.push_back(OnDevice(count));
      std::string passing = all.back();
      copy.Copy(passing, tensors.back());
      // They may go as soon as Copy returns.
      passing.assign(passing.size(), 'x');
    }
  }));
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(Back(tensors[i]), all[i]) << i;
  }
}

TEST_P(StagedCopyTest, LargeCopiesAreSharedByTheCores) {
  const std::string bytes = SomeBytes((size_t{70} << 20) + 3, 1);
  at::Tensor tensor;
  ASSERT_OK(GuardTorch([&] {
    tensor = OnDevice(bytes.size());
    StagedCopy(device_).Copy(bytes, tensor);
  }));
  EXPECT_EQ(Back(tensor), bytes);
}

TEST_P(StagedCopyTest, UnalignedTensorsAndEmptyOnes) {
  testing::OffsetBytes source(16, 1);
  for (char& byte : source.span()) byte = 0;
  source.span()[7] = 0x40;  // 2.0
  at::Tensor two, none, scalar;
  const OwnedTensor one = testing::Floats({}, {3});
  ASSERT_OK(GuardTorch([&] {
    StagedCopy copy(device_, kBuffer);
    two = copy.ToDevice({testing::Spec(DType::kFloat64, {2}), source.view()});
    none = copy.ToDevice({testing::Spec(DType::kFloat16, {3, 0}), ""});
    scalar = copy.ToDevice(testing::View(one));
  }));
  EXPECT_EQ(two[0].item<double>(), 2);
  EXPECT_EQ(none.sizes(), (std::vector<int64_t>{3, 0}));
  EXPECT_EQ(scalar.item<float>(), 3);
}

// The device takes what it is given in the order in which it is given.
TEST_P(StagedCopyTest, ComputationsFindWhatWasCopiedBefore) {
  const OwnedTensor first = testing::Floats({4}, {1, 2, 3, 4});
  const OwnedTensor second = testing::Floats({4}, {10, 20, 30, 40});
  at::Tensor sum;
  ASSERT_OK(GuardTorch([&] {
    StagedCopy copy(device_, 20);
    const at::Tensor a = copy.ToDevice(testing::View(first));
    const at::Tensor b = copy.ToDevice(testing::View(second));
    sum = at::add(a, b).to(at::kCPU);
  }));
  EXPECT_EQ(sum[3].item<float>(), 44);
}

}  // namespace
}  // namespace warmstart::backend
