#include "server/planner/module_tree.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/planner/builders.h"

namespace warmstart::planner {
namespace {

using ::testing::ElementsAre;

Architecture Net() {
  return MakeArchitecture(
      "Net", {{"scale", {}}, {"b.weight", {2}}, {"a.x.weight", {2}}});
}

TEST(ModuleTreeTest, KeysFollowTheWalkThroughTheModules) {
  const ModuleTree tree(Net());
  EXPECT_THAT(
      tree.InTorchOrder(
          {"a.x.new", "b.new", "a.y.w", "zoo.w", "alone", "b.x.w"}),
      // The root first, then b, then a, then a.x.
      ElementsAre("zoo.w", "alone", "b.new", "b.x.w", "a.y.w", "a.x.new"));
}

TEST(ModuleTreeTest, ModulesWithoutParametersKeepTheirPlace) {
  Architecture net = Net();
  EXPECT_THAT(ModuleTree(net).InTorchOrder({"relu.w", "b.new"}),
              ElementsAre("relu.w", "b.new"));
  net.modules = {{"", 1}, {"b", 1}, {"relu", 1}, {"a", 1}, {"a.x", 1}};
  EXPECT_THAT(ModuleTree(net).InTorchOrder({"relu.w", "b.new"}),
              ElementsAre("b.new", "relu.w"));
}

TEST(ModuleTreeTest, ANameOfAModuleIsNoModulesKey) {
  EXPECT_THAT(ModuleTree(Net()).InTorchOrder({"b.new", "b", "a.x"}),
              ElementsAre("b", "b.new", "a.x"));
}

TEST(ModuleTreeTest, ExtraStateComesFirstInItsModule) {
  EXPECT_THAT(ModuleTree(Net()).InTorchOrder(
                  {"b.new", "b._extra_state", "_extra_state"}),
              ElementsAre("_extra_state", "b._extra_state", "b.new"));
}

TEST(ModuleTreeTest, DeepKeysAreNoProblem) {
  std::string key;
  for (int i = 0; i < 100000; ++i) key += "a.";
  Architecture net = MakeArchitecture("Net", {{key + "w", {1}}});
  EXPECT_THAT(ModuleTree(net).InTorchOrder({key + "v", "x"}),
              ElementsAre("x", key + "v"));
}

}  // namespace
}  // namespace warmstart::planner
