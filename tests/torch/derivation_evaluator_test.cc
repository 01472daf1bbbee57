#include "server/torch/derivation_evaluator.h"

#include <ATen/Functions.h>

#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/torch/edge.h"
#include "server/torch/partial_load.h"
#include "server/torch/tensor_bridge.h"
#include "tests/testing/status_matchers.h"
#include "tests/torch/expectations.h"
#include "tests/torch/tensors.h"

namespace warmstart::backend {
namespace {

using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;
using Json = nlohmann::json;

InterpolateOp InterpolateFromJson(const Json& json) {
  const std::string mode = json["mode"];
  return {json["sizes"],
          mode == "linear"     ? InterpolateOp::Mode::kLinear
          : mode == "bilinear" ? InterpolateOp::Mode::kBilinear
                               : InterpolateOp::Mode::kBicubic,
          json["align_corners"], json["antialias"]};
}

std::optional<TensorOp> OpFromJson(const Json& json) {
  const std::string op = json["op"];
  if (op == "permute") return PermuteOp{json["dims"]};
  if (op == "reshape") {
    return ReshapeOp{
        Shape::Create(json["shape"].get<std::vector<int64_t>>()).value()};
  }
  if (op == "slice") {
    return SliceOp{json["dim"], json["start"], json["length"]};
  }
  if (op == "select") return SelectOp{json["dim"], json["indices"]};
  if (op == "expand") {
    return ExpandOp{
        Shape::Create(json["shape"].get<std::vector<int64_t>>()).value()};
  }
  if (op == "concat") return ConcatOp{json["dim"]};
  if (op == "overwrite") return OverwriteOp{json["starts"]};
  if (op == "replace") return ReplaceOp{json["dim"], json["indices"]};
  if (op == "scale") return ScaleOp{json["factor"]};
  if (op == "scale_along") return ScaleAlongOp{json["dim"], json["factors"]};
  if (op == "sum") return SumOp{json["dim"]};
  if (op == "mean") return MeanOp{json["dim"]};
  if (op == "combine") return LinearCombinationOp{json["weights"]};
  if (op == "slerp") return SlerpOp{json["t"]};
  if (op == "matmul") return MatMulOp{};
  if (op == "interpolate") return InterpolateFromJson(json);
  if (op == "resample_patch") {
    return ResamplePatchOp{json["height"], json["width"]};
  }
  if (op == "cast") {
    return CastOp{ParseDType(json["dtype"].get<std::string>()).value()};
  }
  return std::nullopt;
}

absl::StatusOr<DerivationPtr> TreeFromJson(
    const Json& json, const std::vector<DerivationPtr>& inputs) {
  if (json.contains("input")) return inputs[json["input"].get<int>()];
  std::vector<DerivationPtr> operands;
  for (const Json& operand : json["operands"]) {
    absl::StatusOr<DerivationPtr> value = TreeFromJson(operand, inputs);
    if (!value.ok()) return value;
    operands.push_back(*std::move(value));
  }
  std::optional<TensorOp> op = OpFromJson(json);
  if (!op.has_value()) return absl::InternalError(json["op"].dump());
  return Derive(*std::move(op), std::move(operands));
}

at::Tensor ToDoubles(const OwnedTensor& tensor) {
  const at::Tensor values = BorrowOrCopy(testing::View(tensor));
  return values.to(values.is_complex() ? at::kComplexDouble : at::kDouble);
}

// float32's precision, of sums of a few hundred products of its numbers.
constexpr double kRelative = 1e-5;
constexpr double kAbsolute = 1e-6;

void ExpectClose(const OwnedTensor& actual, const OwnedTensor& expected,
                 const std::string& name) {
  ASSERT_EQ(actual.spec, expected.spec) << name;
  EXPECT_TRUE(ToDoubles(actual).allclose(ToDoubles(expected), kRelative,
                                         kAbsolute, /*equal_nan=*/true))
      << name;
}

// A load of one entry, of the value's own spec.
class DerivationTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    SKIP_WITHOUT_DEVICE(GetParam());
    device_ = ResolveDevice(GetParam()).value();
  }

  absl::StatusOr<OwnedTensor> Compute(const DerivationPtr& value) {
    return Compute(value, value->spec.dtype());
  }
  absl::StatusOr<OwnedTensor> Compute(const DerivationPtr& value, DType dtype,
                                      LoadCounts* counts = nullptr) {
    Architecture schema;
    schema.name = "One";
    schema.entries.push_back(
        {"w", value->spec, EntryKind::kParameter, NormalInit{0, 1}});
    OwnedTensor output{TensorSpec::Create(dtype, value->spec.shape()).value(),
                       ""};
    output.bytes.resize(output.spec.num_bytes(), '\xcd');
    LoadEntry load = testing::Load(0, value, output);
    load.counts = counts;
    absl::Status status = RunPartialLoad(schema, RandomStreams::kOnePerKey,
                                         device_, kSeed, {load}, sources_);
    if (!status.ok()) return status;
    return output;
  }
  DerivationPtr Floats(std::vector<int64_t> sizes,
                       const std::vector<float>& values) {
    owned_.push_back(std::make_unique<OwnedTensor>(
        testing::Floats(std::move(sizes), values)));
    return sources_.Add(*owned_.back());
  }

  static constexpr uint64_t kSeed = 5;

  Device device_;
  testing::Sources sources_;
  std::vector<std::unique_ptr<OwnedTensor>> owned_;
};

INSTANTIATE_FOR_DEVICES(DerivationTest);

TEST_P(DerivationTest, EqualsTorch) {
  std::set<std::string> ops;
  for (const Json& json : testing::DerivationExpectations()) {
    const std::string name = json["name"];
    std::vector<OwnedTensor> tensors;
    for (const Json& input : json["inputs"]) {
      tensors.push_back(testing::TensorFromJson(input));
    }
    sources_ = {};
    std::vector<DerivationPtr> inputs;
    for (const OwnedTensor& tensor : tensors) {
      inputs.push_back(sources_.Add(tensor));
    }
    ASSERT_OK_AND_ASSIGN(const DerivationPtr tree,
                         TreeFromJson(json["tree"], inputs));
    ops.emplace(OpName(tree->op));
    ASSERT_OK_AND_ASSIGN(const OwnedTensor actual, Compute(tree));
    const OwnedTensor expected = testing::TensorFromJson(json["result"]);
    if (!IsArithmetic(*tree) ||
        (device_.kind == Device::Kind::kCpu && json["exact"])) {
      EXPECT_EQ(actual.spec, expected.spec) << name;
      EXPECT_EQ(absl::BytesToHexString(actual.bytes),
                absl::BytesToHexString(expected.bytes))
          << name;
    } else {
      ExpectClose(actual, expected, name);
    }
  }
  // All of them but the two leaves.
  EXPECT_EQ(ops.size(), std::variant_size_v<TensorOp> - 2);
}

TEST_P(DerivationTest, FreshPartsAreWhatTheEntryWouldHaveBeen) {
  const DerivationPtr rows = Floats({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  const DerivationPtr fresh =
      FreshTensor(testing::Spec(DType::kFloat32, {5, 4}));
  ASSERT_OK_AND_ASSIGN(const DerivationPtr value,
                       Derive(OverwriteOp{{0, 0}}, {fresh, rows}));
  ASSERT_OK_AND_ASSIGN(const OwnedTensor actual, Compute(value));
  ASSERT_OK_AND_ASSIGN(const OwnedTensor whole, Compute(fresh));
  EXPECT_EQ(actual.bytes.substr(0, 32), owned_[0]->bytes);
  EXPECT_EQ(actual.bytes.substr(32), whole.bytes.substr(32));
  EXPECT_NE(whole.bytes.substr(0, 32), owned_[0]->bytes);
}

// Two leaves of one tree are the same fresh values, not the next ones.
TEST_P(DerivationTest, FreshValuesAreDrawnOnce) {
  const TensorSpec spec = testing::Spec(DType::kFloat32, {20});
  ASSERT_OK_AND_ASSIGN(const DerivationPtr value,
                       Derive(LinearCombinationOp{{1, -1}},
                              {FreshTensor(spec), FreshTensor(spec)}));
  ASSERT_OK_AND_ASSIGN(const OwnedTensor actual, Compute(value));
  EXPECT_EQ(testing::ToFloats(actual.bytes), std::vector<float>(20, 0));
}

TEST_P(DerivationTest, FreshValuesOfAnotherSpecAreRefused) {
  const DerivationPtr fresh = FreshTensor(testing::Spec(DType::kFloat32, {4}));
  ASSERT_OK_AND_ASSIGN(const DerivationPtr value,
                       Derive(SliceOp{0, 0, 2}, {fresh}));
  EXPECT_THAT(Compute(value),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "w: fresh values are float32 [2], not float32 [4]"));
}

// Without sharing, these are 2^100 operations.
TEST_P(DerivationTest, SharedNodesAreComputedOnce) {
  DerivationPtr value = Floats({3}, {1, 2, -3});
  for (int i = 0; i < 100; ++i) {
    ASSERT_OK_AND_ASSIGN(
        value, Derive(LinearCombinationOp{{0.5, 0.5}}, {value, value}));
  }
  ASSERT_OK_AND_ASSIGN(const OwnedTensor actual, Compute(value));
  EXPECT_EQ(actual.bytes, owned_[0]->bytes);
}

TEST_P(DerivationTest, SourcesAreNeverWritten) {
  const DerivationPtr base = Floats({3, 2}, {1, 2, 3, 4, 5, 6});
  const DerivationPtr block = Floats({1, 2}, {7, 8});
  const std::string before = owned_[0]->bytes;
  for (const TensorOp& op :
       {TensorOp(OverwriteOp{{1, 0}}), TensorOp(ReplaceOp{0, {1}})}) {
    ASSERT_OK_AND_ASSIGN(const DerivationPtr value, Derive(op, {base, block}));
    ASSERT_OK_AND_ASSIGN(const OwnedTensor actual, Compute(value));
    EXPECT_THAT(testing::ToFloats(actual.bytes),
                ::testing::ElementsAre(1, 2, 7, 8, 5, 6));
    EXPECT_EQ(owned_[0]->bytes, before);
  }
}

TEST_P(DerivationTest, TheResultIsRoundedOnce) {
  // In float16, 1 + 2^-11 would be lost before the difference is taken.
  const DerivationPtr a = Floats({1}, {1.0F + 1.0F / 2048});
  ASSERT_OK_AND_ASSIGN(const DerivationPtr one,
                       Derive(CastOp{DType::kFloat16}, {Floats({1}, {1})}));
  ASSERT_OK_AND_ASSIGN(const DerivationPtr value,
                       Derive(LinearCombinationOp{{1, -1}}, {a, one}));
  ASSERT_OK_AND_ASSIGN(const OwnedTensor actual,
                       Compute(value, DType::kFloat16));
  EXPECT_EQ(actual.bytes, std::string("\x00\x10", 2));  // 2^-11
}

TEST_P(DerivationTest, ReshapesAndALastCastAreOnTheWayToTheResult) {
  const DerivationPtr source = Floats({2, 3}, {1, 2, 3, 4, 5, 1e6});
  ASSERT_OK_AND_ASSIGN(
      DerivationPtr value,
      Derive(ReshapeOp{Shape::Create({3, 2}).value()}, {source}));
  ASSERT_OK_AND_ASSIGN(const OwnedTensor reshaped, Compute(value));
  EXPECT_EQ(reshaped.bytes, owned_[0]->bytes);
  ASSERT_OK_AND_ASSIGN(value, Derive(CastOp{DType::kFloat16}, {value}));
  LoadCounts counts;
  ASSERT_OK_AND_ASSIGN(const OwnedTensor cast,
                       Compute(value, DType::kFloat16, &counts));
  EXPECT_EQ(cast.bytes, std::string("\x00\x3c\x00\x40\x00\x42\x00\x44"
                                    "\x00\x45\x00\x7c",
                                    12));
  EXPECT_EQ(counts, (LoadCounts{.non_finite = 1, .overflowed = 1}));
}

TEST_P(DerivationTest, WhatIsComputedIsCounted) {
  const float infinity = std::numeric_limits<float>::infinity();
  const DerivationPtr source =
      Floats({6}, {1, 1e30F, 1e-30F, infinity, 0, std::nanf("")});
  ASSERT_OK_AND_ASSIGN(const DerivationPtr value,
                       Derive(ScaleOp{10}, {source}));
  LoadCounts counts;
  ASSERT_OK(Compute(value, DType::kFloat16, &counts));
  EXPECT_EQ(counts, (LoadCounts{3, 1, 1}));
}

// Matrices of gigabytes are refused before they are asked for.
TEST_P(DerivationTest, PatchesThatWouldTakeAllMemoryAreRefused) {
  const DerivationPtr kernel = Floats({1, 1, 2, 2}, {1, 2, 3, 4});
  for (int64_t side : {int64_t{8192}, int64_t{1} << 31}) {
    ASSERT_OK_AND_ASSIGN(const DerivationPtr value,
                         Derive(ResamplePatchOp{side, 1}, {kernel}));
    ASSERT_OK_AND_ASSIGN(const DerivationPtr back,
                         Derive(ResamplePatchOp{2, 8192}, {value}));
    EXPECT_THAT(GuardTorch([&] {
                  Evaluate(*back, [](const Derivation&) {
                    return at::zeros({1, 1, 2, 2});
                  });
                }),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("are too large")));
  }
}

TEST_P(DerivationTest, ASourceThatIsNotAsPlannedIsRefused) {
  const DerivationPtr there = Floats({2}, {1, 2});
  const auto scaled = [](DerivationPtr leaf) {
    return Derive(ScaleOp{2}, {std::move(leaf)}).value();
  };
  EXPECT_THAT(Compute(scaled(SourceTensor(1, 0, there->spec))),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "w: the source is not there"));
  EXPECT_THAT(
      Compute(scaled(SourceTensor(0, 0, testing::Spec(DType::kFloat32, {3})))),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "w: the source is float32 [2], not float32 [3]"));
}

}  // namespace
}  // namespace warmstart::backend
