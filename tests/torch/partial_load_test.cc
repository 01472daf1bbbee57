#include "server/torch/partial_load.h"

#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "tests/torch/tensors.h"

namespace warmstart::backend {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::warmstart::testing::StatusIs;

// What a schema of a weight, a scalar and an empty tensor makes of a load.
class PartialLoadTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    SKIP_WITHOUT_DEVICE(GetParam());
    device_ = ResolveDevice(GetParam()).value();
    schema_.name = "Tiny";
    AddEntry("weight", {2, 2}, ConstantInit{1});
    AddEntry("scale", {}, ConstantInit{2});
    AddEntry("nothing", {0, 3}, NormalInit{});
  }

  void AddEntry(std::string key, std::vector<int64_t> sizes, Initializer init) {
    schema_.entries.push_back({std::move(key),
                               testing::Spec(DType::kFloat32, std::move(sizes)),
                               EntryKind::kParameter, init});
  }

  absl::Status Load(const std::vector<LoadEntry>& entries) {
    return RunPartialLoad(schema_, RandomStreams::kOnePerKey, device_, 0,
                          entries, sources_);
  }

  Device device_;
  Architecture schema_;
  testing::Sources sources_;
  OwnedTensor source_ = testing::Floats({2, 2}, {1, 2, 3, 4});
  OwnedTensor output_ = testing::Floats({2, 2}, {0, 0, 0, 0});
};

INSTANTIATE_FOR_DEVICES(PartialLoadTest);

TEST_P(PartialLoadTest, SourcesAreLoadedAndTheRestIsInitialized) {
  OwnedTensor scale = testing::Floats({}, {0});
  EXPECT_OK(Load({testing::Load(0, sources_.Add(source_), output_),
                  testing::Fresh(1, scale)}));
  EXPECT_EQ(output_.bytes, source_.bytes);
  EXPECT_THAT(testing::ToFloats(scale.bytes), ElementsAre(2));
}

TEST_P(PartialLoadTest, SourcesAreCast) {
  const OwnedTensor doubles{testing::Spec(DType::kInt8, {2, 2}),
                            std::string("\x01\xff\x03\x00", 4)};
  EXPECT_OK(Load({testing::Load(0, sources_.Add(doubles), output_)}));
  EXPECT_THAT(testing::ToFloats(output_.bytes), ElementsAre(1, -1, 3, 0));
}

TEST_P(PartialLoadTest, TheSourcesDTypeCanBeKept) {
  const OwnedTensor bytes{testing::Spec(DType::kUint8, {2, 2}), "abcd"};
  OwnedTensor output{bytes.spec, "...."};
  EXPECT_OK(Load({testing::Load(0, sources_.Add(bytes), output)}));
  EXPECT_EQ(output.bytes, "abcd");
}

TEST_P(PartialLoadTest, WhatIsTheResultUnchangedNeedsNoOutput) {
  EXPECT_OK(Load({{.entry = 0,
                   .value = sources_.Add(source_).get(),
                   .dtype = DType::kFloat32}}));
}

TEST_P(PartialLoadTest, VectorsOfOneElementAreScalars) {
  const OwnedTensor vector = testing::Floats({1}, {5});
  OwnedTensor scale = testing::Floats({}, {0});
  EXPECT_OK(Load({testing::Load(1, sources_.Add(vector), scale)}));
  EXPECT_THAT(testing::ToFloats(scale.bytes), ElementsAre(5));
}

TEST_P(PartialLoadTest, EmptyTensorsNeedNeitherSourceNorOutput) {
  OwnedTensor empty = testing::Floats({0, 3}, {});
  EXPECT_OK(Load({{.entry = 2}}));
  EXPECT_OK(Load({testing::Fresh(2, empty)}));
  EXPECT_OK(Load({testing::Load(2, sources_.Add(empty), empty)}));
}

TEST_P(PartialLoadTest, NothingToLoadIsOk) { EXPECT_OK(Load({})); }

TEST_P(PartialLoadTest, EntriesThatTheSchemaLacksAreRefused) {
  for (int64_t entry : {int64_t{-1}, int64_t{3}, INT64_MAX}) {
    LoadEntry load = testing::Fresh(0, output_);
    load.entry = entry;
    EXPECT_THAT(Load({load}), StatusIs(absl::StatusCode::kInvalidArgument,
                                       HasSubstr("Tiny has no entry")));
  }
}

TEST_P(PartialLoadTest, AnEntryIsLoadedOnce) {
  const LoadEntry load = testing::Fresh(0, output_);
  EXPECT_THAT(Load({load, load}), StatusIs(absl::StatusCode::kInvalidArgument,
                                           "weight: loaded twice"));
}

TEST_P(PartialLoadTest, OtherShapesAreRefusedAndNotBroadcast) {
  const OwnedTensor row = testing::Floats({2}, {1, 2});
  const OwnedTensor flat = testing::Floats({4}, {1, 2, 3, 4});
  for (const OwnedTensor& source : {row, flat}) {
    EXPECT_THAT(Load({testing::Load(0, sources_.Add(source), output_)}),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(StartsWith("weight: "),
                               HasSubstr("for one of shape [2, 2]"))));
  }
}

TEST_P(PartialLoadTest, BytesThatDoNotFitTheirShapeAreRefused) {
  HostTensor source = testing::View(source_);
  source.bytes.remove_suffix(1);
  EXPECT_THAT(Load({testing::Load(0, sources_.Add(source), output_)}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "weight: the source has 15 bytes where float32 [2, 2] "
                       "takes 16"));
  LoadEntry load = testing::Fresh(0, output_);
  load.output.remove_suffix(1);
  EXPECT_THAT(Load({load}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "weight: an output of 15 bytes for float32 [2, 2], "
                       "which takes 16"));
}

TEST_P(PartialLoadTest, CastsNeedAnOutput) {
  EXPECT_THAT(Load({{.entry = 0,
                     .value = sources_.Add(source_).get(),
                     .dtype = DType::kFloat16}}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "weight: no output for a cast from float32 to float16"));
}

TEST_P(PartialLoadTest, FreshValuesNeedAnOutputAndTheSchemasDType) {
  EXPECT_THAT(Load({{.entry = 0}}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "weight: no output for fresh values"));
  OwnedTensor halves{testing::Spec(DType::kFloat16, {2, 2}), "12345678"};
  EXPECT_THAT(Load({testing::Fresh(0, halves)}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "weight: fresh values are float32, not float16"));
}

TEST_P(PartialLoadTest, ComputedValuesNeedAnOutput) {
  ASSERT_OK_AND_ASSIGN(const DerivationPtr value,
                       Derive(ScaleOp{2}, {sources_.Add(source_)}));
  EXPECT_THAT(
      Load({{.entry = 0, .value = value.get(), .dtype = DType::kFloat32}}),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "weight: no output for computed values"));
}

TEST_P(PartialLoadTest, WhatIsUnchangedIsCountedWithoutAnOutput) {
  const OwnedTensor source =
      testing::Floats({2, 2}, {1, std::nanf(""), INFINITY, 0});
  LoadCounts counts;
  EXPECT_OK(Load({{.entry = 0,
                   .value = sources_.Add(source).get(),
                   .dtype = DType::kFloat32,
                   .counts = &counts}}));
  EXPECT_EQ(counts, (LoadCounts{.non_finite = 2}));
}

TEST_P(PartialLoadTest, AnotherInitializerTakesThePlaceOfTheSchemas) {
  const Initializer nines = ConstantInit{9};
  LoadEntry load = testing::Fresh(0, output_);
  load.initializer = &nines;
  EXPECT_OK(Load({load}));
  EXPECT_THAT(testing::ToFloats(output_.bytes), ElementsAre(9, 9, 9, 9));
}

TEST_P(PartialLoadTest, StoredInitializersTakeTheValuesThatAreGiven) {
  AddEntry("stored", {2, 2}, StoredInit{});
  LoadEntry load = testing::Fresh(3, output_);
  load.stored = testing::View(source_);
  EXPECT_OK(Load({load}));
  EXPECT_EQ(output_.bytes, source_.bytes);
}

TEST_P(PartialLoadTest, StoredValuesAreTheFreshOnesInAComputationToo) {
  AddEntry("stored", {2, 2}, StoredInit{});
  const OwnedTensor row = testing::Floats({1, 2}, {8, 9});
  ASSERT_OK_AND_ASSIGN(
      const DerivationPtr value,
      Derive(OverwriteOp{{0, 0}},
             {FreshTensor(schema_.entries[3].spec), sources_.Add(row)}));
  LoadEntry load = testing::Load(3, value, output_);
  load.stored = testing::View(source_);
  EXPECT_OK(Load({load}));
  EXPECT_THAT(testing::ToFloats(output_.bytes), ElementsAre(8, 9, 3, 4));
}

TEST_P(PartialLoadTest, StoredValuesThatAreMissingOrDoNotFitAreRefused) {
  AddEntry("stored", {2, 2}, StoredInit{});
  LoadEntry load = testing::Fresh(3, output_);
  EXPECT_THAT(Load({load}), StatusIs(absl::StatusCode::kInvalidArgument,
                                     "stored: the stored tensor is not there"));
  const OwnedTensor flat = testing::Floats({4}, {1, 2, 3, 4});
  load.stored = testing::View(flat);
  EXPECT_THAT(Load({load}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "stored: the stored tensor is float32 [4], not "
                       "float32 [2, 2]"));
}

TEST_P(PartialLoadTest, EmptyStoredTensorsNeedNoValues) {
  AddEntry("empty", {0, 2}, StoredInit{});
  OwnedTensor empty = testing::Floats({0, 2}, {});
  EXPECT_OK(Load({testing::Fresh(3, empty)}));
}

TEST_P(PartialLoadTest, TiedEntriesHaveTheFreshValuesOfTheirOriginal) {
  AddEntry("embed", {20}, NormalInit{});
  AddEntry("head", {20}, NormalInit{5, 1});
  AddEntry("other", {20}, NormalInit{});
  schema_.entries[4].tied_to = "embed";
  std::vector<OwnedTensor> state = testing::BlankState(schema_);
  EXPECT_OK(Load(testing::FreshLoads(state)));
  EXPECT_EQ(state[4].bytes, state[3].bytes);
  EXPECT_NE(state[5].bytes, state[3].bytes);
}

TEST_P(PartialLoadTest, WhatLibTorchRefusesNamesTheKey) {
  AddEntry("fine", {2}, ConstantInit{0});
  schema_.entries.push_back({"counts", testing::Spec(DType::kInt8, {2}),
                             EntryKind::kBuffer, ConstantInit{300}});
  OwnedTensor fine = testing::Floats({2}, {1, 1});
  OwnedTensor counts{testing::Spec(DType::kInt8, {2}), ".."};
  EXPECT_THAT(
      Load({testing::Fresh(3, fine), testing::Fresh(4, counts)}),
      StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("counts: ")));
}

TEST(PartialLoadDeviceTest, ADeviceThatIsNotThereIsAFailedPrecondition) {
  const Device device{Device::Kind::kCuda, CudaDeviceCount()};
  EXPECT_THAT(RunPartialLoad({}, RandomStreams::kOnePerKey, device, 0, {},
                             testing::Sources()),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace warmstart::backend
