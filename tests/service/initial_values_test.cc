#include "server/service/initial_values.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/service/warm_start.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::warmstart::testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// An architecture whose entries are all as stored, under keys of their own.
Architecture Stored(const std::vector<Entry>& entries) {
  Architecture architecture = MakeSchema("mine", entries);
  for (ArchitectureEntry& entry : architecture.entries) {
    entry.initializer = StoredInit{};
  }
  return architecture;
}

class InitialValuesTest : public ::testing::Test {
 protected:
  // A model of `architecture`, all fresh; its handle.
  std::string SaveFresh(const std::string& architecture) {
    SaveModelRequest request;
    request.architecture = architecture;
    request.seed = 1;
    const auto saved = world_.Save({}, request);
    EXPECT_OK(saved);
    return saved.ok() ? saved->checkpoint.name.ToString() : "";
  }

  World world_;
  ArchitectureRegistry& registry_ = world_.architectures();
  const std::string values_ = world_.MustSave(
      MakeSafetensors({FloatTensor("w", {2, 3}, 1), FloatTensor("b", {3}, 2)}));
};

TEST_F(InitialValuesTest, AreFoundAtRegistrationByHandleOrAlias) {
  ASSERT_OK_AND_ASSIGN(const CheckpointName name,
                       world_.store().Resolve(values_));
  ASSERT_OK(world_.store().SetAlias(AliasName::Parse("first").value(), name));
  Architecture architecture = Stored({{"w", {2, 3}}, {"head", {3}}});
  std::get<StoredInit>(architecture.entries[1].initializer).key = "b";
  for (const std::string& handle : {values_, std::string("aliases/first")}) {
    ASSERT_OK_AND_ASSIGN(const ModelPtr model,
                         registry_.Register(architecture, {handle}));
    EXPECT_EQ(model->schema().version, 1);
    EXPECT_EQ(model->schema().initial_values, name);
    const Manifest manifest = world_.ManifestOf(values_);
    for (size_t i = 0; i < 2; ++i) {
      const ManifestEntry& tensor = manifest.entries[i];
      EXPECT_EQ(model->schema().entries[i].initializer,
                Initializer(StoredInit{tensor.key, tensor.digest}));
    }
  }
}

TEST_F(InitialValuesTest, ThatAreEqualElsewhereAreNoNewVersion) {
  const Architecture architecture = Stored({{"w", {2, 3}}, {"b", {3}}});
  ASSERT_OK_AND_ASSIGN(const ModelPtr first,
                       registry_.Register(architecture, {values_}));
  const std::string copy = world_.MustSave(
      MakeSafetensors({FloatTensor("w", {2, 3}, 1), FloatTensor("b", {3}, 2)}));
  ASSERT_OK_AND_ASSIGN(const ModelPtr again,
                       registry_.Register(architecture, {copy}));
  EXPECT_EQ(again->schema().version, 1);
  EXPECT_EQ(again->schema().initial_values, first->schema().initial_values);
}

TEST_F(InitialValuesTest, ThatDoNotFitAreRefusedWithEntryAndTensor) {
  const auto refused = [&](const Architecture& architecture,
                           const std::string& handle) {
    return registry_.Register(architecture, {handle}).status();
  };
  Architecture other = Stored({{"w", {2, 3}}, {"b", {3}}});
  std::get<StoredInit>(other.entries[1].initializer).key = "bias";
  absl::Status status = refused(other, values_);
  EXPECT_THAT(status,
              StatusIs(kInvalid, AllOf(HasSubstr("'b'"), HasSubstr("'bias'"),
                                       HasSubstr(values_))));
  EXPECT_EQ(FieldOf(status), "architecture.entries[1].initializer");
  status = refused(Stored({{"w", {3, 2}}}), values_);
  EXPECT_THAT(status,
              StatusIs(kInvalid, HasSubstr("which is float32 [2, 3] and not "
                                           "float32 [3, 2]")));
  EXPECT_THAT(refused(Stored({{"w", {2, 3}, DType::kFloat16}}), values_),
              StatusIs(kInvalid, HasSubstr("float16")));
  EXPECT_EQ(FieldOf(refused(Stored({{"w", {2, 3}}}), "")),
            "architecture.initial_values");
  EXPECT_EQ(FieldOf(refused(MakeSchema("mine", {{"w", {2, 3}}}), values_)),
            "architecture.initial_values");
  EXPECT_EQ(ReasonOf(refused(Stored({{"w", {2, 3}}}), "checkpoints/none")),
            "CHECKPOINT_NOT_FOUND");
  EXPECT_THAT(registry_.Find("mine"), StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(InitialValuesTest, AreReferredToAndNotCopied) {
  ASSERT_OK(registry_.Register(Stored({{"w", {2, 3}}, {"b", {3}}}), {values_}));
  const int64_t blobs = world_.num_blobs();
  const std::string fresh = SaveFresh("mine");
  EXPECT_EQ(world_.Values(fresh), world_.Values(values_));
  EXPECT_EQ(world_.num_blobs(), blobs);

  // Beside what is loaded and what is drawn.
  Architecture mixed = Stored({{"w", {2, 3}}, {"b", {3}}, {"c", {3}}});
  mixed.entries[2].initializer = ConstantInit{2};
  ASSERT_OK(registry_.Register(mixed, {values_}));
  const std::string source =
      world_.MustSave(MakeSafetensors({FloatTensor("w", {2, 3}, 3)}));
  WarmStartRequest request;
  request.architecture = "mine";
  request.sources = {{source, ""}};
  ASSERT_OK_AND_ASSIGN(const WarmStartResult result,
                       WarmStart(world_.context(), request));
  ASSERT_OK(result.verdict);
  const auto values = world_.Values(result.checkpoint->name.ToString());
  EXPECT_EQ(values.at("w"), world_.Values(source).at("w"));
  EXPECT_EQ(values.at("b"), world_.Values(values_).at("b"));
  EXPECT_EQ(values.at("c"), BytesOf<float>({2, 2, 2}));
  EXPECT_EQ(result.report.entries[1].initializer, "stored");
  EXPECT_EQ(result.report.architecture, "mine/versions/2");
  EXPECT_EQ(result.checkpoint->architecture->ToString(),
            "architectures/mine/versions/2");
}

TEST_F(InitialValuesTest, OfTiedEntriesAreOneTensor) {
  Architecture tied = Stored({{"w", {2, 3}}, {"b", {3}}, {"out", {2, 3}}});
  tied.entries[2].tied_to = "w";
  std::get<StoredInit>(tied.entries[2].initializer).key = "w";
  ASSERT_OK(registry_.Register(tied, {values_}));
  const Manifest manifest = world_.ManifestOf(SaveFresh("mine"));
  ASSERT_TRUE(manifest.entries[0].view.has_value());
  EXPECT_EQ(manifest.entries[0].view, manifest.entries[2].view);
  EXPECT_EQ(manifest.entries[0].digest, manifest.entries[2].digest);
  EXPECT_FALSE(manifest.entries[1].view.has_value());
}

TEST_F(InitialValuesTest, KeepTheirCheckpointUntilTheArchitectureIsDeleted) {
  ASSERT_OK(registry_.Register(Stored({{"w", {2, 3}}}), {values_}));
  ASSERT_OK_AND_ASSIGN(const CheckpointName name,
                       world_.store().Resolve(values_));
  for (const bool force : {false, true}) {
    const absl::Status status = world_.store().DeleteCheckpoint(name, force);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition,
                                 HasSubstr("architectures/mine/versions/1")));
    EXPECT_EQ(ReasonOf(status), "CHECKPOINT_IN_USE");
  }
  world_.Restart();
  ASSERT_OK(world_.architectures().Delete("mine", false));
  EXPECT_OK(world_.store().DeleteCheckpoint(name, false));
}

}  // namespace
}  // namespace warmstart::service
