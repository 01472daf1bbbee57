#include "server/torch/edge.h"

#include <ATen/Functions.h>
#include <dlfcn.h>

#include <new>
#include <stdexcept>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::backend {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using ::warmstart::testing::StatusIs;

constexpr int64_t kMoreThanAnyMachineHas = int64_t{1} << 50;

TEST(EdgeTest, WorkThatSucceedsIsOk) {
  bool ran = false;
  EXPECT_OK(GuardTorch([&] { ran = true; }));
  EXPECT_TRUE(ran);
}

TEST(EdgeTest, WhatLibTorchRefusesIsInvalidArgumentInOneLine) {
  EXPECT_THAT(GuardTorch([] { at::ones({2}).view({3}); }),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(StartsWith("shape '[3]' is invalid"),
                             Not(HasSubstr("\n")))));
}

TEST(EdgeTest, WhatLibTorchLacksIsInvalidArgument) {
  EXPECT_THAT(GuardTorch([] { at::ones({2}, at::kInt).normal_(); }),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("not implemented for 'Int'")));
}

TEST(EdgeTest, ValuesThatATypeCannotHoldAreInvalidArgument) {
  EXPECT_THAT(GuardTorch([] { at::ones({2}, at::kChar).fill_(300); }),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("cannot be converted to type int8_t")));
}

TEST(EdgeTest, MemoryThatIsNotThereIsResourceExhausted) {
  EXPECT_THAT(
      GuardTorch([] { at::empty({kMoreThanAnyMachineHas}, at::kByte); }),
      StatusIs(absl::StatusCode::kResourceExhausted,
               HasSubstr("can't allocate memory")));
  EXPECT_THAT(GuardTorch([] { throw std::bad_alloc(); }),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(
      GuardTorch([] { TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA"); }),
      StatusIs(absl::StatusCode::kResourceExhausted, "CUDA"));
}

TEST(EdgeTest, FailuresOfOthersAreInternal) {
  EXPECT_THAT(GuardTorch([] { throw std::logic_error("odd\nlines"); }),
              StatusIs(absl::StatusCode::kInternal, "odd"));
  EXPECT_THAT(GuardTorch([] {
                throw c10::AcceleratorError({"f", "file", 1}, 700, "illegal");
              }),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("illegal")));
  // NOLINTNEXTLINE(bugprone-std-exception-baseclass): what else may come?
  EXPECT_THAT(GuardTorch([] { throw 7; }),
              StatusIs(absl::StatusCode::kInternal));
}

TEST(EdgeTest, WarningsStayOffStderr) {
  ::testing::internal::CaptureStderr();
  EXPECT_OK(GuardTorch([] { TORCH_WARN("look here"); }));
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(EdgeTest, NothingIsRecordedForAutograd) {
  EXPECT_OK(GuardTorch([] { EXPECT_TRUE(at::ones({1}).is_inference()); }));
}

// OpenMP's own number, which the libraries below LibTorch ask for.
int MaxOpenMpThreads() {
  const auto get =
      reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "omp_get_max_threads"));
  return get == nullptr ? -1 : get();
}

TEST(EdgeTest, EveryThreadComputesAlone) {
  int threads = 0;
  std::thread([&] {
    EXPECT_OK(GuardTorch([&] { threads = MaxOpenMpThreads(); }));
  }).join();
  EXPECT_EQ(threads, 1);
}

TEST(EdgeTest, AnnotationOpensTheMessageAndKeepsTheCode) {
  EXPECT_THAT(
      Annotate(absl::InvalidArgumentError("too big"), "fc3.bias"),
      StatusIs(absl::StatusCode::kInvalidArgument, "fc3.bias: too big"));
  EXPECT_OK(Annotate(absl::OkStatus(), "fc3.bias"));
}

}  // namespace
}  // namespace warmstart::backend
