#include "server/service/forward.h"

#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/service/tensor_file.h"
#include "server/torch/device_info.h"
#include "tests/service/files.h"
#include "tests/service/specs.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

constexpr int64_t kImageBytes = 2 * 3 * 32 * 32 * 4;

ForwardInput Images(absl::string_view data, const std::string& name = "") {
  return {name, SpecOf({2, 3, 32, 32}), data};
}

ForwardInput RandomImages(uint64_t seed = 0) {
  return {"", SpecOf({2, 3, 32, 32}), RandomValues{seed}};
}

class ForwardTest : public ::testing::Test {
 protected:
  // A fresh model of an architecture; the handle.
  std::string Fresh(const std::string& architecture) {
    SaveModelRequest request;
    request.architecture = architecture;
    request.seed = 1;
    const absl::StatusOr<SaveModelResult> saved = world_.Save({}, request);
    EXPECT_OK(saved.status());
    return saved->checkpoint.name.ToString();
  }

  absl::StatusOr<ForwardResult> Run(const ForwardRequest& request) {
    return Forward(world_.context(), request);
  }

  World world_;
};

TEST_F(ForwardTest, ACheckpointIsRunAsWhatItIs) {
  const std::string handle = Fresh("NetA");
  ASSERT_OK_AND_ASSIGN(const ForwardResult result,
                       Run({.checkpoint = handle, .inputs = {RandomImages()}}));
  EXPECT_EQ(result.checkpoint.ToString(), handle);
  EXPECT_EQ(result.architecture.ToString(), "architectures/NetA");
  EXPECT_EQ(result.device, backend::Device{});
  ASSERT_THAT(result.outputs, SizeIs(1));
  EXPECT_EQ(result.outputs[0].name, "output");
  EXPECT_EQ(result.outputs[0].tensor.spec, SpecOf({2, 10}));
  EXPECT_THAT(result.notes, IsEmpty());
}

TEST_F(ForwardTest, TheSecondCallFindsTheModelAndSaysTheSame) {
  const ForwardRequest request{.checkpoint = Fresh("NetB"),
                               .inputs = {RandomImages()}};
  ASSERT_OK_AND_ASSIGN(const ForwardResult first, Run(request));
  ASSERT_OK_AND_ASSIGN(const ForwardResult second, Run(request));
  EXPECT_FALSE(first.was_resident);
  EXPECT_TRUE(second.was_resident);
  EXPECT_EQ(first.outputs[0].tensor.bytes, second.outputs[0].tensor.bytes);
}

TEST_F(ForwardTest, DrawnValuesFollowTheSeed) {
  const std::string handle = Fresh("NetA");
  ASSERT_OK_AND_ASSIGN(
      const ForwardResult a,
      Run({.checkpoint = handle, .inputs = {RandomImages(1)}}));
  ASSERT_OK_AND_ASSIGN(
      const ForwardResult b,
      Run({.checkpoint = handle, .inputs = {RandomImages(2)}}));
  EXPECT_NE(a.outputs[0].tensor.bytes, b.outputs[0].tensor.bytes);
}

TEST_F(ForwardTest, InputsComeAsValuesByNameOrAsAFile) {
  const std::string handle = Fresh("NetA");
  const Tensor images = FloatTensor("input", {2, 3, 32, 32});
  Tensor listed = images;
  listed.key = "0";
  ASSERT_OK_AND_ASSIGN(
      const ForwardResult by_position,
      Run({.checkpoint = handle, .inputs = {Images(images.bytes)}}));
  ASSERT_OK_AND_ASSIGN(
      const ForwardResult by_name,
      Run({.checkpoint = handle, .inputs = {Images(images.bytes, "input")}}));
  for (const std::string& file :
       {MakeSafetensors({images}), MakeTorchFile({images}),
        MakeTorchFile({listed})}) {
    ASSERT_OK_AND_ASSIGN(const ForwardResult from_file,
                         Run({.checkpoint = handle, .input_file = file}));
    EXPECT_EQ(from_file.outputs[0].tensor.bytes,
              by_position.outputs[0].tensor.bytes);
  }
  EXPECT_EQ(by_name.outputs[0].tensor.bytes,
            by_position.outputs[0].tensor.bytes);
}

TEST_F(ForwardTest, OutputsCanBeAFile) {
  const std::string handle = Fresh("NetA");
  for (const FileFormat format :
       {FileFormat::kTorch, FileFormat::kSafetensors}) {
    ASSERT_OK_AND_ASSIGN(const ForwardResult result,
                         Run({.checkpoint = handle,
                              .inputs = {RandomImages()},
                              .output_format = format}));
    ASSERT_OK_AND_ASSIGN(const std::vector<NamedTensor> read,
                         ReadTensorFile(result.output_file, int64_t{1} << 20));
    ASSERT_THAT(read, SizeIs(1));
    EXPECT_EQ(read[0].name, "output");
    EXPECT_EQ(read[0].tensor.bytes, result.outputs[0].tensor.bytes);
  }
}

TEST_F(ForwardTest, NansAreToldInANote) {
  const std::string nan = BytesOf(std::vector<float>(
      kImageBytes / 4, std::numeric_limits<float>::quiet_NaN()));
  ASSERT_OK_AND_ASSIGN(
      const ForwardResult result,
      Run({.checkpoint = Fresh("NetA"), .inputs = {Images(nan)}}));
  EXPECT_THAT(
      result.notes,
      ElementsAre("20 of the 20 values of 'output' are NaN or infinite"));
}

TEST_F(ForwardTest, ACheckpointWithoutAnArchitectureNeedsOneToBeNamed) {
  const std::string handle = world_.MustSave(MakeSafetensors(RecipeTensors()));
  const auto refused = Run({.checkpoint = handle, .inputs = {RandomImages()}});
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kFailedPrecondition,
                                HasSubstr("without an architecture")));
  EXPECT_EQ(ReasonOf(refused.status()), "ARCHITECTURE_NOT_NAMED");
  EXPECT_OK(Run({.checkpoint = handle,
                 .architecture = "NetB",
                 .inputs = {RandomImages()}}));
}

TEST_F(ForwardTest, ASchemaHasNoForward) {
  ASSERT_OK(
      world_.architectures().Register(MakeSchema("Flat", {{"w", {2, 3}}})));
  const auto refused =
      Run({.checkpoint = Fresh("Flat"), .inputs = {RandomImages()}});
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kFailedPrecondition,
                                HasSubstr("has no forward")));
  EXPECT_EQ(ReasonOf(refused.status()), "NO_FORWARD");
}

TEST_F(ForwardTest, TensorsThatAreNotTheArchitecturesAreNamedAsPyTorchDoes) {
  std::vector<Tensor> tensors = RecipeTensors();
  tensors.back() = FloatTensor("extra", {1});
  const auto refused =
      Run({.checkpoint = world_.MustSave(MakeSafetensors(tensors)),
           .architecture = "NetA",
           .inputs = {RandomImages()}});
  EXPECT_THAT(
      refused,
      StatusIs(absl::StatusCode::kFailedPrecondition,
               ::testing::AllOf(HasSubstr("Missing key(s) in state_dict"),
                                HasSubstr("Unexpected key(s) in state_dict: "
                                          "\"extra\""))));
  tensors = RecipeTensors();
  tensors.front() = FloatTensor(tensors.front().key, {6, 3, 3, 3});
  EXPECT_THAT(Run({.checkpoint = world_.MustSave(MakeSafetensors(tensors)),
                   .architecture = "NetA",
                   .inputs = {RandomImages()}}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("size mismatch for")));
  EXPECT_THAT(world_.resident_models().StateOf(backend::Device{}).models,
              IsEmpty());
}

TEST_F(ForwardTest, InputsThatTheModelDoesNotTakeAreRefusedInWords) {
  const std::string handle = Fresh("NetA");
  const auto refused =
      Run({.checkpoint = handle,
           .inputs = {{"", SpecOf({2, 3, 5}), RandomValues{}}}});
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(FieldOf(refused.status()), "inputs");
  EXPECT_THAT(
      Run({.checkpoint = handle, .inputs = {RandomImages(), RandomImages()}}),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("there are 2 inputs; the model takes 'input'")));
}

TEST_F(ForwardTest, WhatIsNotThereIsNotFound) {
  EXPECT_THAT(
      Run({.checkpoint = "checkpoints/nobody", .inputs = {RandomImages()}}),
      StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(Run({.checkpoint = Fresh("NetA"),
                   .architecture = "Nobody",
                   .inputs = {RandomImages()}}),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ForwardTest, ADeviceThatIsNotThereIsAFailedPrecondition) {
  const auto refused = Run({.checkpoint = Fresh("NetA"),
                            .device = "cuda:99",
                            .inputs = {RandomImages()}});
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(ReasonOf(refused.status()), "DEVICE_UNAVAILABLE");
}

TEST(ResidentLimitsTest, TheDefaultIsAQuarterOfTheHostsMemory) {
  const int64_t limit = DefaultResidentBytes(backend::Device{});
  EXPECT_EQ(limit, backend::DescribeDevice(backend::Device{}).memory_bytes / 4);
  EXPECT_GT(limit, int64_t{1} << 20);
}

}  // namespace
}  // namespace warmstart::service
