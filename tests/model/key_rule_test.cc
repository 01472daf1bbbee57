#include "server/model/key_rule.h"

#include "gtest/gtest.h"

namespace warmstart {
namespace {

TEST(KeyRuleTest, ReadsAsTheCommandLineWritesIt) {
  EXPECT_EQ(KeyRuleToString(RenameRule{"a", "b"}), "--rename a=b");
  EXPECT_EQ(KeyRuleToString(RegexRule{"^h\\.", "x."}),
            "--rename-regex ^h\\.=x.");
  EXPECT_EQ(KeyRuleToString(StripPrefixRule{"module."}),
            "--strip-prefix module.");
  EXPECT_EQ(KeyRuleToString(AddPrefixRule{"net."}), "--add-prefix net.");
}

}  // namespace
}  // namespace warmstart
