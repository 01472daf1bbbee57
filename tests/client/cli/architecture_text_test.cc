#include "client/cli/architecture_text.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/testing/test_files.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::client {
namespace {

using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

TEST(ArchitectureTextTest, InitializersLeaveDefaultsOut) {
  v1::Initializer initializer;
  EXPECT_EQ(InitializerText(initializer), "zeros");
  initializer.mutable_ones();
  EXPECT_EQ(InitializerText(initializer), "ones");
  initializer.mutable_constant()->set_value(0.5);
  EXPECT_EQ(InitializerText(initializer), "constant(0.5)");
  initializer.mutable_normal()->set_std(0.02);
  EXPECT_EQ(InitializerText(initializer), "normal(std=0.02)");
  initializer.mutable_normal()->set_std(1);
  initializer.mutable_normal()->set_mean(3);
  EXPECT_EQ(InitializerText(initializer), "normal(mean=3)");
  initializer.mutable_uniform()->set_low(-2);
  initializer.mutable_uniform()->set_high(2);
  EXPECT_EQ(InitializerText(initializer), "uniform(low=-2, high=2)");
  initializer.mutable_kaiming_uniform()->set_mode("fan_in");
  EXPECT_EQ(InitializerText(initializer), "kaiming_uniform");
  initializer.mutable_kaiming_uniform()->set_a(0);
  initializer.mutable_kaiming_uniform()->set_mode("fan_out");
  initializer.mutable_kaiming_uniform()->set_nonlinearity("relu");
  EXPECT_EQ(InitializerText(initializer),
            "kaiming_uniform(a=0, mode=fan_out, nonlinearity=relu)");
  initializer.mutable_fan_in_uniform()->set_fan_in(400);
  EXPECT_EQ(InitializerText(initializer), "fan_in_uniform(fan_in=400)");
}

class ArchitectureFileTest : public ::testing::Test {
 protected:
  absl::StatusOr<v1::Architecture> Read(const std::string& text) {
    WriteFile(path_, text);
    return ReadArchitectureFile(path_);
  }

  testing::TempDir dir_;
  const std::string path_ = dir_.Join("head.json");
};

TEST_F(ArchitectureFileTest, SchemaIsRead) {
  ASSERT_OK_AND_ASSIGN(const v1::Architecture architecture, Read(R"({
    "name": "Head",
    "entries": [
      {"key": "fc.weight", "shape": [10, 768],
       "initializer": {"kaiming_uniform": {}}},
      {"key": "steps", "dtype": "int64", "buffer": true}]})"));
  EXPECT_EQ(architecture.name(), "Head");
  EXPECT_EQ(ArchitectureTable(architecture).Render({}),
            "KEY        KIND       SHAPE      DTYPE    INITIALIZER\n"
            "fc.weight  parameter  [10, 768]  float32  kaiming_uniform\n"
            "steps      buffer     []         int64    zeros\n");
}

TEST_F(ArchitectureFileTest, SyntaxErrorHasItsPlace) {
  EXPECT_THAT(
      Read("{\"name\": \"Head\",\n \"entries\": [}"),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr(path_ + ": parse error at line 2, column 14")));
}

TEST_F(ArchitectureFileTest, WrongFieldHasItsPath) {
  EXPECT_THAT(Read(R"({"entries": [{"key": "a", "shap": [1]}]})"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("(entries[0]) shap: Cannot find field")));
}

TEST_F(ArchitectureFileTest, MissingFileIsNamed) {
  EXPECT_THAT(ReadArchitectureFile(dir_.Join("none.json")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("none.json: No such file or directory")));
}

}  // namespace
}  // namespace warmstart::client
