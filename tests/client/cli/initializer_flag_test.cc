#include "client/cli/initializer_flag.h"

#include <string>
#include <utility>

#include "client/cli/architecture_text.h"
#include "client/cli/usage_error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::client {
namespace {

using ::testing::HasSubstr;

TEST(InitializerFlagTest, WhatIsPrintedIsRead) {
  const char* const texts[] = {
      "zeros",
      "ones",
      "constant(-0.5)",
      "normal",
      "normal(mean=1, std=0.02, zero_row=3)",
      "uniform(low=-2, high=3)",
      "kaiming_uniform",
      "kaiming_uniform(a=0, mode=fan_out, nonlinearity=relu)",
      "kaiming_normal",
      "kaiming_normal(a=0.1, mode=fan_out, nonlinearity=selu)",
      "xavier_uniform",
      "xavier_uniform(gain=2)",
      "xavier_normal(gain=0)",
      "trunc_normal",
      "trunc_normal(mean=1, std=0.02, a=-1, b=3)",
      "orthogonal(gain=-1)",
      "sparse(sparsity=0.1)",
      "sparse(sparsity=0.1, std=1)",
      "eye",
      "dirac",
      "dirac(groups=4)",
      "fan_in_uniform(fan_in=400)",
  };
  for (const char* text : texts) {
    ASSERT_OK_AND_ASSIGN(const v1::Initializer initializer,
                         ReadInitializer(text));
    EXPECT_EQ(InitializerText(initializer), text);
  }
}

TEST(InitializerFlagTest, WhatIsUsualCanBeLeftOut) {
  const std::pair<std::string, std::string> cases[] = {
      {"constant:0.1", "constant(0.1)"},
      {"normal:0.02", "normal(std=0.02)"},
      {"uniform:0.5", "uniform(low=-0.5, high=0.5)"},
      {"constant(value=0.1)", "constant(0.1)"},
      {"xavier_normal(2)", "xavier_normal(gain=2)"},
      {"dirac( 3 )", "dirac(groups=3)"},
      {"normal( mean = 1,std=2 )", "normal(mean=1, std=2)"},
      {"eye()", "eye"},
  };
  for (const auto& [text, meant] : cases) {
    ASSERT_OK_AND_ASSIGN(const v1::Initializer initializer,
                         ReadInitializer(text));
    EXPECT_EQ(InitializerText(initializer), meant);
  }
}

TEST(InitializerFlagTest, MistakesAreUsageErrors) {
  const std::pair<std::string, std::string> cases[] = {
      {"xavier", "'xavier' is none of zeros, ones, constant"},
      {"", "'' is none of zeros"},
      {"Eye", "'Eye' is none of"},
      {"stored", "take values from a source"},
      {"stored(a.key)", "take values from a source"},
      {"normal(std=0.02", "has no ')' at its end"},
      {"normal(sd=1)", "--init normal has no 'sd'; it has mean, std, zero_row"},
      {"eye(1)", "--init eye: '1' is not NAME=VALUE"},
      {"eye(a=1)", "--init eye has no 'a'"},
      {"normal(1)", "--init normal: '1' is not NAME=VALUE"},
      {"normal:x", "--init normal: 'x' is not a number"},
      {"normal(std=inf)", "'inf' is not a number"},
      {"uniform:x", "--init uniform: 'x' is not a number"},
      {"dirac(groups=1.5)", "'1.5' is not a whole number"},
      {"xavier_normal:2", "xavier_normal has no short form"},
  };
  for (const auto& [text, message] : cases) {
    const absl::Status status = ReadInitializer(text).status();
    EXPECT_TRUE(IsUsageError(status)) << text;
    EXPECT_THAT(status.message(), HasSubstr(message));
  }
}

}  // namespace
}  // namespace warmstart::client
