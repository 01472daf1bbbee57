#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/model/digest.h"
#include "server/torch/edge.h"
#include "server/torch/key_seed.h"
#include "server/torch/placement.h"
#include "tests/testing/status_matchers.h"
#include "tests/torch/expectations.h"
#include "tests/torch/tensors.h"

namespace warmstart::backend {
namespace {

using ::warmstart::testing::StatusIs;

// What `source` becomes when it is cast to `dtype`, both at the given distance
// from an aligned address.
absl::StatusOr<std::string> Cast(const OwnedTensor& source, DType dtype,
                                 size_t source_offset, size_t output_offset) {
  testing::OffsetBytes input(source.bytes.size(), source_offset);
  source.bytes.copy(input.span().data(), source.bytes.size());
  testing::OffsetBytes output(source.spec.num_elements() * DTypeSize(dtype),
                              output_offset);
  absl::Status status = GuardTorch([&] {
    MakeHostPlacement()->Load({source.spec, input.view()},
                              {dtype, output.span()});
  });
  if (!status.ok()) return status;
  return std::string(output.view());
}

std::string Drawn(const ArchitectureEntry& entry, uint64_t seed,
                  size_t output_offset) {
  testing::OffsetBytes output(entry.spec.num_bytes(), output_offset);
  EXPECT_OK(GuardTorch([&] {
    const std::unique_ptr<Placement> placement = MakeHostPlacement();
    at::Generator generator = placement->NewGenerator(KeySeed(seed, entry.key));
    placement->Initialize(FillingOf(entry.initializer, entry.spec.shape()),
                          entry.spec, generator, output.span());
  }));
  return std::string(output.view());
}

// (distance of source, of output) from an aligned address.
class HostCastTest
    : public ::testing::TestWithParam<std::pair<size_t, size_t>> {};

TEST_P(HostCastTest, EqualsTorchForEveryPairOfDTypes) {
  const auto [source_offset, output_offset] = GetParam();
  int pairs = 0;
  for (const auto& json : testing::Expectations()["casts"]) {
    const OwnedTensor source = testing::TensorFromJson(json["source"]);
    for (const auto& [name, target] : json["targets"].items()) {
      const OwnedTensor expected = testing::TensorFromJson(target);
      ASSERT_OK_AND_ASSIGN(
          const std::string bytes,
          Cast(source, expected.spec.dtype(), source_offset, output_offset));
      EXPECT_EQ(absl::BytesToHexString(bytes),
                absl::BytesToHexString(expected.bytes))
          << source.spec.ToString() << " to " << name;
      ++pairs;
    }
  }
  EXPECT_EQ(pairs, 21 * 20);
}

INSTANTIATE_TEST_SUITE_P(Offsets, HostCastTest,
                         ::testing::Values(std::pair(0, 0), std::pair(1, 0),
                                           std::pair(0, 1), std::pair(3, 5)));

TEST(HostPlacementTest, EqualDTypesKeepEveryBit) {
  // Not even a NaN's payload changes, nor a bool that is neither 0 nor 1.
  const OwnedTensor bools{testing::Spec(DType::kBool, {3}), "\x02\x01\xff"};
  EXPECT_THAT(Cast(bools, DType::kBool, 0, 0),
              warmstart::testing::IsOkAndHolds(bools.bytes));
  const OwnedTensor nan{testing::Spec(DType::kFloat32, {1}),
                        "\x01\x02\xa3\x7f"};
  EXPECT_THAT(Cast(nan, DType::kFloat32, 1, 1),
              warmstart::testing::IsOkAndHolds(nan.bytes));
}

TEST(HostPlacementTest, BoolsFromFilesAreTrueWhereTheyAreNotZero) {
  const OwnedTensor bools{testing::Spec(DType::kBool, {3}),
                          std::string("\x02\x00\xff", 3)};
  EXPECT_THAT(Cast(bools, DType::kUint8, 0, 0),
              warmstart::testing::IsOkAndHolds(std::string("\x01\x00\x01", 3)));
}

TEST(HostPlacementTest, LargeCastsEqualTorchInOneGoAndInPieces) {
  const auto& expected = testing::Expectations()["large_cast"];
  const ArchitectureEntry entry{
      "x", testing::Spec(DType::kFloat32, {expected["count"].get<int64_t>()}),
      EntryKind::kParameter, NormalInit{0, 1}};
  const OwnedTensor source{entry.spec, Drawn(entry, 3, 0)};
  for (size_t offset : {0, 1}) {
    ASSERT_OK_AND_ASSIGN(const std::string bytes,
                         Cast(source, DType::kBFloat16, offset, offset));
    EXPECT_EQ(Digest::Of(bytes).ToHex(), expected["sha256"].get<std::string>());
  }
}

TEST(HostPlacementTest, UnalignedOutputsGetTheSameFreshValues) {
  for (const ArchitectureEntry& entry :
       testing::SchemaFromExpectations().entries) {
    ASSERT_EQ(Digest::Of(Drawn(entry, 7, 0)), Digest::Of(Drawn(entry, 7, 1)))
        << entry.key << " " << entry.spec.ToString();
  }
}

TEST(HostPlacementTest, SkippingTakesWhatDrawingTakes) {
  for (const ArchitectureEntry& entry :
       testing::SchemaFromExpectations().entries) {
    const Filling filling = FillingOf(entry.initializer, entry.spec.shape());
    std::string bytes(entry.spec.num_bytes(), '\0');
    const std::unique_ptr<Placement> placement = MakeHostPlacement();
    at::Generator drawn = placement->NewGenerator(1);
    at::Generator skipped = placement->NewGenerator(1);
    ASSERT_OK(GuardTorch([&] {
      placement->Initialize(filling, entry.spec, drawn, absl::MakeSpan(bytes));
      placement->Skip(filling, entry.spec, skipped);
      EXPECT_TRUE(drawn.get_state().equal(skipped.get_state()))
          << entry.key << " " << entry.spec.ToString();
    }));
  }
}

TEST(HostPlacementTest, WhatTorchDoesNotDrawIsRefused) {
  std::string bytes(8, '\0');
  EXPECT_THAT(
      GuardTorch([&] {
        const std::unique_ptr<Placement> placement = MakeHostPlacement();
        at::Generator generator = placement->NewGenerator(1);
        placement->Initialize(NormalInit{}, testing::Spec(DType::kInt64, {1}),
                              generator, absl::MakeSpan(bytes));
      }),
      StatusIs(absl::StatusCode::kInvalidArgument,
               ::testing::HasSubstr("not implemented for 'Long'")));
}

}  // namespace
}  // namespace warmstart::backend
