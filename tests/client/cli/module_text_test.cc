#include "client/cli/module_text.h"

#include <google/protobuf/text_format.h>

#include "gtest/gtest.h"

namespace warmstart::client {
namespace {

std::string TreeOf(const std::string& text) {
  v1::ModuleDeclaration module;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &module));
  return ModuleTree(module);
}

TEST(ModuleTreeTest, ChildrenAreIndentedWithTheirNamesOrIndices) {
  EXPECT_EQ(TreeOf(R"(
    type: "Sequential"
    children { type: "ReLU" name: "stem" }
    children {
      type: "Sequential"
      children { type: "Flatten" }
    })"),
            "Sequential\n"
            "  stem  ReLU\n"
            "  1     Sequential\n"
            "    0  Flatten\n");
}

TEST(ModuleTreeTest, OptionsAreWrittenAsPythonWritesThem) {
  EXPECT_EQ(TreeOf(R"(
    type: "Conv2d"
    options {
      fields { key: "padding" value { string_value: "same" } }
      fields { key: "kernel_size" value { list_value {
        values { number_value: 3 } values { number_value: 5 } } } }
      fields { key: "bias" value { bool_value: false } }
      fields { key: "device" value { null_value: NULL_VALUE } }
      fields { key: "eps" value { number_value: 1e-05 } }
    })"),
            "Conv2d(bias=False, device=None, eps=1e-05, kernel_size=[3, 5], "
            "padding='same')\n");
}

}  // namespace
}  // namespace warmstart::client
