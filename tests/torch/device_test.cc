#include "server/torch/device.h"

#include <dlfcn.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
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

// With a driver that is loaded before device.cc looks for one, in a process of
// its own: what is found is found once.
class FakeDriverTest : public ::testing::Test {
 protected:
  FakeDriverTest() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  // Ends the process; says on stderr what ResolveDevice answers.
  [[noreturn]] static void Resolve(absl::string_view name,
                                   const char* init_error,
                                   const char* devices) {
    setenv("FAKE_CUDA_INIT_ERROR", init_error, 1);
    setenv("FAKE_CUDA_DEVICES", devices, 1);
    if (dlopen(WARMSTART_FAKE_CUDA_DRIVER, RTLD_NOW) == nullptr) {
      std::cerr << dlerror();
      std::exit(1);
    }
    const absl::StatusOr<Device> device = ResolveDevice(name);
    std::cerr << LoadCudaIfPresent() << "; "
              << (device.ok() ? device->ToString()
                              : device.status().ToString());
    std::exit(0);
  }
};

TEST_F(FakeDriverTest, ADriverWithoutGpuSaysSo) {
  for (const char* init_error : {"0", "100"}) {
    EXPECT_EXIT(Resolve("cuda", init_error, "0"), ::testing::ExitedWithCode(0),
                "CUDA: none; the NVIDIA driver sees no GPU; "
                "FAILED_PRECONDITION: no CUDA device: the NVIDIA driver sees "
                "no GPU");
  }
}

TEST_F(FakeDriverTest, ADriverThatFailsIsQuoted) {
  EXPECT_EXIT(Resolve("cuda:1", "803", "2"), ::testing::ExitedWithCode(0),
              "FAILED_PRECONDITION: no CUDA device: the NVIDIA driver failed "
              "with CUDA error 803");
}

// From here on the real library is loaded; it does not fall for this driver.
TEST_F(FakeDriverTest, GpusThatLibTorchCannotUseAreNoFailureOfTheProcess) {
  EXPECT_EXIT(Resolve("cuda", "0", "1"), ::testing::ExitedWithCode(0),
              "no CUDA device: (LibTorch can use none of the GPUs"
              "|libtorch_cuda.so could not be loaded)");
  EXPECT_EXIT(Resolve("auto", "0", "1"), ::testing::ExitedWithCode(0),
              "; cpu$");
}

}  // namespace
}  // namespace warmstart::backend
