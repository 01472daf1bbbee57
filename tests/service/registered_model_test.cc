#include "server/service/registered_model.h"

#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

Architecture Linear(double in, double out) {
  ModuleDeclaration module;
  module.type = "Linear";
  module.options["in_features"].value = in;
  module.options["out_features"].value = out;
  Architecture architecture;
  architecture.name = "mine";
  architecture.module = std::move(module);
  return architecture;
}

TEST(RegisteredModelTest, ADeclaredModuleHasTheEntriesOfTorchAndForward) {
  World world;
  for (int round = 0; round < 2; ++round) {
    ASSERT_OK_AND_ASSIGN(ModelPtr model,
                         world.architectures().Register(Linear(4, 3)));
    if (round == 1) {
      world.Restart();
      ASSERT_OK_AND_ASSIGN(model, world.architectures().Find("mine"));
    }
    EXPECT_TRUE(model->has_forward());
    EXPECT_EQ(model->schema().version, 1);
    ASSERT_THAT(model->schema().entries, SizeIs(2));
    EXPECT_EQ(model->schema().entries[0].key, "weight");
    EXPECT_EQ(model->schema().entries[0].spec.ToString(), "float32 [3, 4]");
    EXPECT_EQ(model->schema().entries[1].key, "bias");
  }
  ASSERT_OK_AND_ASSIGN(const ArchitectureListing listing,
                       world.architectures().ListVersions("mine", 10, ""));
  ASSERT_THAT(listing.architectures, SizeIs(1));
  EXPECT_TRUE(listing.architectures[0].has_forward);
}

TEST(RegisteredModelTest, WhatWasFoundMayBeRegisteredAgain) {
  World world;
  ASSERT_OK(world.architectures().Register(Linear(4, 3)));
  ASSERT_OK_AND_ASSIGN(const ModelPtr found,
                       world.architectures().Find("mine"));
  ASSERT_OK_AND_ASSIGN(const ModelPtr again,
                       world.architectures().Register(found->schema()));
  EXPECT_EQ(again->schema(), found->schema());
}

TEST(RegisteredModelTest, EntriesBesideAModuleMustBeItsOwn) {
  World world;
  ASSERT_OK_AND_ASSIGN(const ModelPtr model,
                       world.architectures().Register(Linear(4, 3)));
  const auto refused = [&](auto change) {
    Architecture architecture = model->schema();
    change(architecture);
    return world.architectures().Register(architecture).status();
  };
  EXPECT_THAT(refused([](Architecture& a) { a.entries[1].key = "b"; }),
              StatusIs(kInvalid, HasSubstr("is 'b', in the module 'bias'")));
  EXPECT_THAT(
      refused([](Architecture& a) { a.entries[1].spec = a.entries[0].spec; }),
      StatusIs(kInvalid, HasSubstr("float32 [3, 4], in the module "
                                   "float32 [3]")));
  EXPECT_THAT(
      refused([](Architecture& a) { a.entries[1].kind = EntryKind::kBuffer; }),
      StatusIs(kInvalid, HasSubstr("a buffer, in the module a param")));
  EXPECT_THAT(refused([](Architecture& a) {
                a.entries[1].initializer = ConstantInit{1};
              }),
              StatusIs(kInvalid, HasSubstr("by constant, in the module by")));
  EXPECT_THAT(refused([](Architecture& a) { a.entries.pop_back(); }),
              StatusIs(kInvalid, HasSubstr("there are 1, the module has 2")));
  EXPECT_THAT(refused([](Architecture& a) { a.modules = {{"other", 1}}; }),
              StatusIs(kInvalid, HasSubstr("architecture.modules: ")));
}

TEST(RegisteredModelTest, AModuleThatTorchDoesNotHaveIsRefusedWithItsPlace) {
  World world;
  Architecture architecture = Linear(4, 3);
  architecture.module->type = "NoSuchLayer";
  const absl::Status status =
      world.architectures().Register(architecture).status();
  EXPECT_THAT(status, StatusIs(kInvalid, HasSubstr("NoSuchLayer")));
  EXPECT_THAT(FieldOf(status), HasSubstr("architecture.module"));
}

TEST(RegisteredModelTest, ACheckpointOfADeclaredModuleNamesItsVersion) {
  World world;
  ASSERT_OK(world.architectures().Register(Linear(4, 3)));
  ASSERT_OK(world.architectures().Register(Linear(4, 2)));
  SaveModelRequest request;
  request.architecture = "mine/versions/1";
  ASSERT_OK_AND_ASSIGN(const SaveModelResult saved, world.Save({}, request));
  EXPECT_EQ(saved.checkpoint.architecture->ToString(),
            "architectures/mine/versions/1");
  EXPECT_THAT(world.Values(saved.checkpoint.name.ToString()).at("weight"),
              SizeIs(4 * 3 * 4));
}

// What an earlier program may have stored.
TEST(RegisteredModelTest, AModuleThatHasBecomeAnotherIsNotRun) {
  Architecture architecture = Linear(4, 3);
  architecture.version = 2;
  architecture.entries = MakeSchema("mine", {{"kernel", {3, 4}}}).entries;
  EXPECT_THAT(MakeRegisteredModel(architecture),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("architectures/mine/versions/2")));
}

}  // namespace
}  // namespace warmstart::service
