// Every type of layer, with several sets of options, beside torch.nn.

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/model/digest.h"
#include "server/torch/model_architecture.h"
#include "tests/testing/status_matchers.h"
#include "tests/torch/declared/declarations.h"
#include "tests/torch/expectations.h"
#include "tests/torch/read_only_page.h"
#include "tests/torch/tensors.h"

namespace warmstart::backend {
namespace {

using ::testing::ElementsAreArray;

std::unique_ptr<ModelArchitecture> Declare(const nlohmann::json& module) {
  auto made =
      MakeDeclaredArchitecture("M", 0, testing::DeclarationFromJson(module));
  EXPECT_OK(made);
  return made.ok() ? *std::move(made) : nullptr;
}

class DeclaredParityTest : public ::testing::Test {
 protected:
  // Calls `check` with each case and its architecture.
  template <typename Check>
  void ForEach(Check check) {
    int cases = 0;
    for (const nlohmann::json& json : testing::DeclaredExpectations()) {
      SCOPED_TRACE(json["module"].dump());
      const auto architecture = Declare(json["module"]);
      if (architecture == nullptr) continue;
      check(json, *architecture);
      ++cases;
    }
    EXPECT_GT(cases, 300);
  }
};

TEST_F(DeclaredParityTest, SchemasAreTorchs) {
  ForEach([](const nlohmann::json& json, const ModelArchitecture& made) {
    const Architecture& schema = made.schema();
    ASSERT_EQ(schema.entries.size(), json["state"].size());
    for (size_t i = 0; i < schema.entries.size(); ++i) {
      const nlohmann::json& expected = json["state"][i];
      const ArchitectureEntry& entry = schema.entries[i];
      EXPECT_EQ(entry.key, expected["key"].get<std::string>());
      EXPECT_EQ(entry.spec, testing::SpecFromJson(expected)) << entry.key;
      EXPECT_EQ(entry.kind == EntryKind::kParameter,
                expected["parameter"].get<bool>())
          << entry.key;
    }
    std::vector<ModuleVersion> modules;
    for (const nlohmann::json& module : json["metadata"]) {
      modules.push_back({module["path"], module["version"]});
    }
    EXPECT_THAT(schema.modules, ElementsAreArray(modules));
  });
}

TEST_F(DeclaredParityTest, FreshValuesAreTorchs) {
  ForEach([](const nlohmann::json& json, const ModelArchitecture& made) {
    for (const nlohmann::json& fresh : json["fresh"]) {
      ASSERT_OK_AND_ASSIGN(
          const auto state,
          testing::FreshState(made, Device{}, fresh["seed"].get<uint64_t>()));
      for (size_t i = 0; i < state.size(); ++i) {
        EXPECT_EQ(Digest::Of(state[i].bytes).ToHex(),
                  fresh["sha256"][i].get<std::string>())
            << made.schema().entries[i].key;
      }
    }
  });
}

// What an entry gets does not depend on what else is asked for.
TEST_F(DeclaredParityTest, EachEntryAloneGetsTheValuesOfAFreshModel) {
  ForEach([](const nlohmann::json& json, const ModelArchitecture& made) {
    const nlohmann::json& fresh = json["fresh"][0];
    for (size_t i = 0; i < made.schema().entries.size(); ++i) {
      ASSERT_OK_AND_ASSIGN(
          const OwnedTensor alone,
          testing::FreshEntry(made, Device{}, fresh["seed"].get<uint64_t>(),
                              static_cast<int64_t>(i)));
      EXPECT_EQ(Digest::Of(alone.bytes).ToHex(),
                fresh["sha256"][i].get<std::string>())
          << made.schema().entries[i].key;
    }
  });
}

// A model on memory that cannot be written.
struct Loaded {
  std::vector<OwnedTensor> tensors;
  std::vector<std::unique_ptr<testing::ReadOnlyPage>> pages;
  std::shared_ptr<const RunnableModel> model;
};

void Load(const nlohmann::json& json, const ModelArchitecture& architecture,
          Loaded& loaded) {
  std::vector<StateTensor> state;
  for (const nlohmann::json& tensor : json["state"]) {
    loaded.tensors.push_back(testing::TensorFromJson(tensor));
    loaded.pages.push_back(
        std::make_unique<testing::ReadOnlyPage>(loaded.tensors.back().bytes));
    state.push_back(
        {{loaded.tensors.back().spec, loaded.pages.back()->bytes()}, nullptr});
  }
  ASSERT_OK_AND_ASSIGN(loaded.model, architecture.Load(Device{}, state));
}

void ExpectNear(const OwnedTensor& actual, const OwnedTensor& expected,
                double tolerance) {
  EXPECT_EQ(actual.spec, expected.spec);
  if (tolerance == 0) {
    EXPECT_TRUE(actual.bytes == expected.bytes) << "values differ";
    return;
  }
  const std::vector<float> a = testing::ToFloats(actual.bytes);
  const std::vector<float> b = testing::ToFloats(expected.bytes);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_NEAR(a[i], b[i], tolerance * std::max(1.0F, std::fabs(b[i])));
  }
}

TEST_F(DeclaredParityTest, ForwardIsTorchs) {
  ForEach([](const nlohmann::json& json, const ModelArchitecture& made) {
    Loaded loaded;
    ASSERT_NO_FATAL_FAILURE(Load(json, made, loaded));
    std::vector<OwnedTensor> tensors;
    for (const nlohmann::json& input : json["inputs"]) {
      tensors.push_back(testing::TensorFromJson(input));
    }
    std::vector<ModelInput> inputs;
    for (size_t i = 0; i < tensors.size(); ++i) {
      inputs.push_back({json["inputs"][i]["name"].get<std::string>(),
                        testing::View(tensors[i])});
    }
    ASSERT_OK_AND_ASSIGN(const auto outputs,
                         loaded.model->Forward(inputs, 1 << 20));
    ASSERT_EQ(outputs.size(), json["outputs"].size());
    for (size_t i = 0; i < outputs.size(); ++i) {
      ExpectNear(outputs[i].tensor, testing::TensorFromJson(json["outputs"][i]),
                 json["tolerance"].get<double>());
    }
  });
}

}  // namespace
}  // namespace warmstart::backend
