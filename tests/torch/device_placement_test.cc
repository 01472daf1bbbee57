#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/torch/edge.h"
#include "server/torch/partial_load.h"
#include "server/torch/placement.h"
#include "server/torch/tensor_bridge.h"
#include "tests/testing/status_matchers.h"
#include "tests/torch/expectations.h"
#include "tests/torch/tensors.h"

namespace warmstart::backend {
namespace {

// The way over a device is taken with the CPU for a device too: there its
// results are known.
class DevicePlacementTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    SKIP_WITHOUT_DEVICE(GetParam());
    device_ = ToAtDevice(ResolveDevice(GetParam()).value());
  }

  at::Device device_{at::kCPU};
};

INSTANTIATE_FOR_DEVICES(DevicePlacementTest);

// Out of range, what a conversion gives is the device's choice; so these are
// compared within the range of every type.
TEST_P(DevicePlacementTest, CastsEqualTheHosts) {
  const OwnedTensor source =
      testing::Floats({2, 3}, {0.0F, 1.0F, 2.0F, 4.0F, 8.0F, 16.0F});
  for (DType dtype : kAllDTypes) {
    std::string on_host(source.spec.num_elements() * DTypeSize(dtype), '\0');
    std::string on_device = on_host;
    EXPECT_OK(GuardTorch([&] {
      MakeHostPlacement()->Load(testing::View(source),
                                {dtype, absl::MakeSpan(on_host)});
      MakeDevicePlacement(device_)->Load(testing::View(source),
                                         {dtype, absl::MakeSpan(on_device)});
    }));
    EXPECT_EQ(on_device, on_host) << DTypeName(dtype);
  }
}

TEST_P(DevicePlacementTest, UnalignedSourcesAndOutputsAreNoTrouble) {
  testing::OffsetBytes source(16, 1);
  testing::OffsetBytes output(8, 1);
  for (char& byte : source.span()) byte = 0;
  source.span()[7] = 0x40;  // 2.0
  EXPECT_OK(GuardTorch([&] {
    MakeDevicePlacement(device_)->Load(
        {testing::Spec(DType::kFloat64, {2}), source.view()},
        {DType::kFloat32, output.span()});
  }));
  EXPECT_THAT(testing::ToFloats(std::string(output.view())),
              ::testing::ElementsAre(2, 0));
}

TEST_P(DevicePlacementTest, EveryInitializerAndDTypeIsDrawnThere) {
  const Architecture schema = testing::SchemaFromExpectations();
  std::vector<OwnedTensor> first = testing::BlankState(schema);
  std::vector<OwnedTensor> second = testing::BlankState(schema);
  for (std::vector<OwnedTensor>* state : {&first, &second}) {
    ASSERT_OK(RunPartialLoadAt(
        *MakeDevicePlacement(device_), schema, RandomStreams::kOnePerKey, 7,
        testing::FreshLoads(*state), testing::Sources()));
  }
  for (size_t i = 0; i < first.size(); ++i) {
    ASSERT_EQ(first[i].bytes, second[i].bytes) << schema.entries[i].key;
  }
}

TEST_P(DevicePlacementTest, ComputedValuesAndTheirCountsEqualTheHosts) {
  Architecture schema;
  schema.name = "One";
  schema.entries.push_back({"w", testing::Spec(DType::kFloat32, {4, 3}),
                            EntryKind::kParameter, ConstantInit{7}});
  testing::Sources sources;
  const OwnedTensor source = testing::Floats({3, 2}, {1, 2, 3, 4, 1e6, 6});
  ASSERT_OK_AND_ASSIGN(const DerivationPtr turned,
                       Derive(PermuteOp{{1, 0}}, {sources.Add(source)}));
  ASSERT_OK_AND_ASSIGN(const DerivationPtr scaled,
                       Derive(ScaleOp{0.5}, {turned}));
  ASSERT_OK_AND_ASSIGN(const DerivationPtr value,
                       Derive(OverwriteOp{{1, 0}},
                              {FreshTensor(schema.entries[0].spec), scaled}));
  std::vector<std::string> results;
  for (const auto& placement :
       {MakeHostPlacement(), MakeDevicePlacement(device_)}) {
    OwnedTensor output{testing::Spec(DType::kFloat16, {4, 3}),
                       std::string(24, '\xcd')};
    LoadCounts counts;
    LoadEntry load = testing::Load(0, value, output);
    load.counts = &counts;
    ASSERT_OK(RunPartialLoadAt(*placement, schema, RandomStreams::kOnePerKey, 7,
                               {load}, sources));
    EXPECT_EQ(counts, (LoadCounts{1, 1, 0}));
    results.push_back(output.bytes);
  }
  EXPECT_EQ(results[0], results[1]);
}

TEST_P(DevicePlacementTest, SkippingTakesWhatDrawingTakes) {
  const TensorSpec spec = testing::Spec(DType::kFloat32, {70001});
  const Filling filling = UniformInit{0, 1};
  std::string bytes(spec.num_bytes(), '\0');
  std::string after_draw(spec.num_bytes(), '\0');
  std::string after_skip(spec.num_bytes(), '\0');
  ASSERT_OK(GuardTorch([&] {
    const std::unique_ptr<Placement> placement = MakeDevicePlacement(device_);
    at::Generator drawn = placement->NewGenerator(1);
    at::Generator skipped = placement->NewGenerator(1);
    placement->Initialize(filling, spec, drawn, absl::MakeSpan(bytes));
    placement->Skip(filling, spec, skipped);
    placement->Initialize(filling, spec, drawn, absl::MakeSpan(after_draw));
    placement->Initialize(filling, spec, skipped, absl::MakeSpan(after_skip));
  }));
  EXPECT_NE(after_draw, bytes);
  EXPECT_EQ(after_draw, after_skip);
}

TEST_P(DevicePlacementTest, EmptyTensorsAndScalarsPass) {
  const OwnedTensor scalar = testing::Floats({}, {3});
  const OwnedTensor empty = testing::Floats({2, 0}, {});
  std::string scalar_output(2, '\0');
  std::string empty_output;
  EXPECT_OK(GuardTorch([&] {
    const std::unique_ptr<Placement> placement = MakeDevicePlacement(device_);
    placement->Load(testing::View(scalar),
                    {DType::kInt16, absl::MakeSpan(scalar_output)});
    placement->Load(testing::View(empty),
                    {DType::kInt16, absl::MakeSpan(empty_output)});
    placement->Load(testing::View(empty), {DType::kFloat32});
  }));
  EXPECT_EQ(scalar_output, std::string("\x03\x00", 2));
}

}  // namespace
}  // namespace warmstart::backend
