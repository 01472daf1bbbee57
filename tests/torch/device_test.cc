#include "server/torch/device.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::backend {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

const Device kFirstCuda{Device::Kind::kCuda, 0};

TEST(DeviceTest, NamesAreTorchs) {
  EXPECT_EQ(Device{}.ToString(), "cpu");
  EXPECT_EQ((Device{Device::Kind::kCuda, 3}).ToString(), "cuda:3");
}

TEST(DeviceTest, TheCpuIsAlwaysThere) {
  EXPECT_THAT(ResolveDevice("cpu"), IsOkAndHolds(Device{}));
}

TEST(DeviceTest, OtherNamesAreRefused) {
  for (const char* name :
       {"", "gpu", "CPU", "cpu:0", "cuda:", "cuda:-1", "cuda:+1", "cuda: 1",
        "cuda:1 ", "cuda:x", "cuda:99999999999999999999", "cuda:0x0"}) {
    EXPECT_THAT(ResolveDevice(name),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("known: cpu, cuda, cuda:N")))
        << name;
  }
}

TEST(DeviceTest, LoadingAgainSaysTheSame) {
  const std::string line = LoadCudaIfPresent();
  EXPECT_THAT(line, StartsWith("CUDA: "));
  EXPECT_EQ(LoadCudaIfPresent(), line);
}

TEST(DeviceTest, DevicesBeyondTheLastAreNotThere) {
  LoadCudaIfPresent();
  EXPECT_THAT(
      ResolveDevice("cuda:4096"),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               HasSubstr(CudaDeviceCount() == 0 ? "no CUDA device: "
                                                : "no device cuda:4096")));
}

TEST(DeviceTest, AutoIsCudaWhereThereIsOne) {
  LoadCudaIfPresent();
  ASSERT_OK_AND_ASSIGN(const Device device, ResolveDevice("auto"));
  EXPECT_EQ(device.kind,
            CudaDeviceCount() > 0 ? Device::Kind::kCuda : Device::Kind::kCpu);
}

TEST(DeviceTest, CudaIsItsFirstDevice) {
  LoadCudaIfPresent();
  if (CudaDeviceCount() == 0) {
    GTEST_SKIP() << ResolveDevice("cuda").status().message();
  }
  EXPECT_THAT(ResolveDevice("cuda"), IsOkAndHolds(kFirstCuda));
  EXPECT_THAT(ResolveDevice("cuda:0"), IsOkAndHolds(kFirstCuda));
}

}  // namespace
}  // namespace warmstart::backend
