#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/model/digest.h"
#include "server/torch/model_architecture.h"
#include "tests/testing/status_matchers.h"
#include "tests/torch/expectations.h"
#include "tests/torch/tensors.h"

namespace warmstart::backend {
namespace {

using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

constexpr uint64_t kForwardSeed = 7;

// Without CUDA: its generator draws other values.
void ExpectFreshValuesOfTorch(const ModelArchitecture& net) {
  for (const auto& json : testing::Expectations()["modules"]["fresh"]) {
    const uint64_t seed = json["seed"];
    ASSERT_OK_AND_ASSIGN(const std::vector<OwnedTensor> state,
                         testing::FreshState(net, Device{}, seed));
    ASSERT_EQ(state.size(), json["sha256"].size());
    for (size_t i = 0; i < state.size(); ++i) {
      EXPECT_EQ(Digest::Of(state[i].bytes).ToHex(),
                json["sha256"][i].get<std::string>())
          << net.schema().name << ", seed " << seed << ", "
          << net.schema().entries[i].key;
    }
  }
}

TEST(RecipeNetworksTest, FreshValuesEqualTorchsBitForBit) {
  ExpectFreshValuesOfTorch(*MakeNetA());
  ExpectFreshValuesOfTorch(*MakeNetB());
}

TEST(RecipeNetworksTest, SchemaEqualsTheStateDictOfTorch) {
  const Architecture schema = MakeNetB()->schema();
  const auto& expected = testing::Expectations()["modules"];
  EXPECT_OK(ValidateArchitecture(schema));
  ASSERT_EQ(schema.entries.size(), expected["schema"].size());
  for (size_t i = 0; i < schema.entries.size(); ++i) {
    EXPECT_EQ(schema.entries[i].key,
              expected["schema"][i]["key"].get<std::string>());
    EXPECT_EQ(schema.entries[i].spec,
              testing::SpecFromJson(expected["schema"][i]));
    EXPECT_EQ(schema.entries[i].kind, EntryKind::kParameter);
  }
  ASSERT_EQ(schema.modules.size(), expected["metadata"].size());
  for (size_t i = 0; i < schema.modules.size(); ++i) {
    EXPECT_EQ(schema.modules[i].path,
              expected["metadata"][i]["path"].get<std::string>());
    EXPECT_EQ(schema.modules[i].version,
              expected["metadata"][i]["version"].get<int64_t>());
  }
}

TEST(RecipeNetworksTest, NamesAreTheRecipes) {
  EXPECT_EQ(MakeNetA()->schema().name, "NetA");
  EXPECT_EQ(MakeNetB()->schema().name, "NetB");
}

TEST(RecipeNetworksTest, RequestsAtTheSameTimeDoNotDisturbEachOther) {
  const auto net = MakeNetA();
  ASSERT_OK_AND_ASSIGN(const auto expected,
                       testing::FreshState(*net, Device{}, 3));
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        MakeNetB();  // draws from LibTorch's global generator
        const auto state = testing::FreshState(*net, Device{}, 3);
        ASSERT_OK(state);
        for (size_t entry = 0; entry < state->size(); ++entry) {
          ASSERT_EQ((*state)[entry].bytes, expected[entry].bytes);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

bool IsHead(const ArchitectureEntry& entry) {
  return absl::StartsWith(entry.key, "fc3.");
}

class RecipeNetworksOnDeviceTest
    : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    SKIP_WITHOUT_DEVICE(GetParam());
    device_ = ResolveDevice(GetParam()).value();
  }

  Device device_;
  std::unique_ptr<ModelArchitecture> net_ = MakeNetB();
};

INSTANTIATE_FOR_DEVICES(RecipeNetworksOnDeviceTest);

// A network's entries are drawn from one stream: what is asked of one of them
// must not move the others'.
TEST_P(RecipeNetworksOnDeviceTest, NothingDisturbsTheOthersFreshValues) {
  ASSERT_OK_AND_ASSIGN(const auto fresh,
                       testing::FreshState(*net_, device_, 5));
  const Initializer own = NormalInit{3, 1};
  const DerivationPtr leaf = FreshTensor(net_->schema().entries[2].spec);
  ASSERT_OK_AND_ASSIGN(const DerivationPtr doubled, Derive(ScaleOp{2}, {leaf}));
  std::vector<OwnedTensor> result = testing::BlankState(net_->schema());
  std::vector<LoadEntry> loads = testing::FreshLoads(result);
  loads[0].initializer = &own;     // draws another number of values
  loads[2].value = doubled.get();  // is fresh, in a way
  loads.erase(loads.begin() + 4);  // is not asked for
  ASSERT_OK(net_->PartialLoad(device_, 5, loads, testing::Sources()));
  EXPECT_NE(result[0].bytes, fresh[0].bytes);
  const std::vector<float> once = testing::ToFloats(fresh[2].bytes);
  const std::vector<float> twice = testing::ToFloats(result[2].bytes);
  for (size_t i = 0; i < once.size(); ++i) ASSERT_EQ(twice[i], 2 * once[i]);
  for (size_t i : {1, 3, 5, 6, 7, 8, 9}) {
    EXPECT_EQ(result[i].bytes, fresh[i].bytes) << i;
  }
}

// The recipe's case: everything but the head comes from elsewhere.
TEST_P(RecipeNetworksOnDeviceTest, AMissingHeadGetsTheValuesOfAFreshModel) {
  const std::vector<ArchitectureEntry>& schema = net_->schema().entries;
  ASSERT_OK_AND_ASSIGN(const auto fresh,
                       testing::FreshState(*net_, device_, 5));
  ASSERT_OK_AND_ASSIGN(const auto source,
                       testing::FreshState(*net_, device_, 99));
  std::vector<OwnedTensor> result = testing::BlankState(net_->schema());
  testing::Sources sources;
  std::vector<LoadEntry> loads = testing::FreshLoads(result);
  for (LoadEntry& load : loads) {
    if (!IsHead(schema[load.entry])) {
      load.value = sources.Add(source[load.entry]).get();
    }
  }
  ASSERT_OK(net_->PartialLoad(device_, 5, loads, sources));
  for (size_t i = 0; i < schema.size(); ++i) {
    EXPECT_EQ(result[i].bytes, (IsHead(schema[i]) ? fresh : source)[i].bytes)
        << schema[i].key;
  }
}

TEST_P(RecipeNetworksOnDeviceTest, EachEntryAloneGetsTheValuesOfAFreshModel) {
  ASSERT_OK_AND_ASSIGN(const auto fresh,
                       testing::FreshState(*net_, device_, 5));
  for (size_t i = 0; i < fresh.size(); ++i) {
    ASSERT_OK_AND_ASSIGN(const OwnedTensor alone,
                         testing::FreshEntry(*net_, device_, 5, i));
    EXPECT_EQ(alone.bytes, fresh[i].bytes) << net_->schema().entries[i].key;
  }
}

TEST_P(RecipeNetworksOnDeviceTest, ForwardAnswersAndFailsAsTorchDoes) {
  ASSERT_OK_AND_ASSIGN(const auto state,
                       testing::FreshState(*net_, Device{}, kForwardSeed));
  for (const auto& json : testing::Expectations()["forward"]) {
    SCOPED_TRACE(json["name"].get<std::string>());
    const OwnedTensor input = testing::TensorFromJson(json["input"]);
    const absl::StatusOr<OwnedTensor> output = testing::Run(
        *net_, device_, testing::Views(state), testing::View(input));
    if (json.contains("error")) {
      EXPECT_THAT(output, StatusIs(absl::StatusCode::kInvalidArgument));
      // A device's kernels say it in other words.
      if (GetParam() == "cpu") {
        EXPECT_EQ(output.status().message(), json["error"].get<std::string>());
      }
      continue;
    }
    ASSERT_OK(output);
    const OwnedTensor expected = testing::TensorFromJson(json["output"]);
    EXPECT_EQ(output->spec, expected.spec);
    if (GetParam() == "cpu") {
      EXPECT_EQ(output->bytes, expected.bytes);
    } else {
      EXPECT_THAT(testing::ToFloats(output->bytes),
                  ::testing::Pointwise(::testing::FloatNear(1e-4),
                                       testing::ToFloats(expected.bytes)));
    }
  }
}

TEST_P(RecipeNetworksOnDeviceTest, ForwardRunsInTheDTypeOfTheState) {
  ASSERT_OK_AND_ASSIGN(const auto state,
                       testing::FreshState(*net_, Device{}, kForwardSeed));
  std::vector<OwnedTensor> doubles = state;
  for (OwnedTensor& tensor : doubles) {
    tensor.spec =
        TensorSpec::Create(DType::kFloat64, tensor.spec.shape()).value();
    tensor.bytes.resize(tensor.spec.num_bytes());
  }
  testing::Sources sources;
  std::vector<LoadEntry> loads = testing::FreshLoads(doubles);
  for (LoadEntry& load : loads) {
    load.value = sources.Add(state[load.entry]).get();
  }
  ASSERT_OK(net_->PartialLoad(device_, 0, loads, sources));
  const TensorSpec spec = testing::Spec(DType::kFloat64, {1, 3, 32, 32});
  const OwnedTensor input{spec, std::string(spec.num_bytes(), '\0')};
  ASSERT_OK_AND_ASSIGN(const OwnedTensor output,
                       testing::Run(*net_, device_, testing::Views(doubles),
                                    testing::View(input)));
  EXPECT_EQ(output.spec, testing::Spec(DType::kFloat64, {1, 10}));
}

TEST_P(RecipeNetworksOnDeviceTest, AStateThatDoesNotFitIsRefused) {
  ASSERT_OK_AND_ASSIGN(const auto state,
                       testing::FreshState(*net_, Device{}, kForwardSeed));
  const OwnedTensor input = testing::Floats({1, 3, 1, 1}, {1, 2, 3});
  std::vector<HostTensor> views = testing::Views(state);

  std::vector<HostTensor> short_state(views.begin(), views.end() - 1);
  EXPECT_THAT(testing::Run(*net_, device_, short_state, testing::View(input)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "NetB has 10 tensors, the state 9"));

  std::vector<HostTensor> swapped = views;
  std::swap(swapped[0], swapped[1]);
  EXPECT_THAT(testing::Run(*net_, device_, swapped, testing::View(input)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("conv1.weight: its shape is [6]")));

  views[9].bytes.remove_suffix(4);
  EXPECT_THAT(testing::Run(*net_, device_, views, testing::View(input)),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "fc3.bias: 36 bytes where float32 [10] takes 40"));
}

TEST_P(RecipeNetworksOnDeviceTest, AnInputOfTheWrongSizeIsRefused) {
  ASSERT_OK_AND_ASSIGN(const auto state,
                       testing::FreshState(*net_, Device{}, kForwardSeed));
  OwnedTensor input = testing::Floats({1, 3, 1, 1}, {1, 2, 3});
  input.bytes.pop_back();
  EXPECT_THAT(
      testing::Run(*net_, device_, testing::Views(state), testing::View(input)),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("input: 11 bytes")));
}

}  // namespace
}  // namespace warmstart::backend
