#include "server/model/key_rule.h"

#include "gtest/gtest.h"
#include "server/model/key_rule_json.h"

namespace warmstart {
namespace {

TEST(KeyRuleTest, ReadsAsTheCommandLineWritesIt) {
  EXPECT_EQ(KeyRuleToString(RenameRule{"a", "b"}), "--rename a=b");
  EXPECT_EQ(KeyRuleToString(RegexRule{"^h\\.", "x."}),
            "--rename-regex ^h\\.=x.");
  EXPECT_EQ(KeyRuleToString(StripPrefixRule{"module."}),
            "--strip-prefix module.");
  EXPECT_EQ(KeyRuleToString(AddPrefixRule{"net."}), "--add-prefix net.");
  EXPECT_EQ(KeyRuleToString(TemplateRule{"h.{i}.{r*}", "h.{2*i}.{r*}", {}}),
            "--template h.{i}.{r*}=h.{2*i}.{r*}");
}

TEST(KeyRuleTest, WhatHasNoShortFormIsJson) {
  KeyRule scoped = StripPrefixRule{"m."};
  scoped.keys = {"m.*", "it's"};
  scoped.source = 0;
  scoped.priority = -3;
  EXPECT_EQ(KeyRuleToString(scoped),
            R"(--rule '{"stripPrefix":"m.","keys":["m.*","it\u0027s"],)"
            R"("source":0,"priority":-3}')");
  // The command line splits at the first "=".
  EXPECT_EQ(KeyRuleToString(RenameRule{"a=b", "c"}),
            R"(--rule '{"rename":{"from":"a=b","to":"c"}}')");
  EXPECT_EQ(KeyRuleToString(RegexRule{"(?P<a>=)", "x"}),
            "--rule '{\"regex\":{\"pattern\":\"(?P<a>=)\","
            "\"replacement\":\"x\"}}'");
  EXPECT_EQ(KeyRuleToString(TemplateRule{"a.{i}", "b.{i}", {{"i", 0, 5}}}),
            R"(--rule '{"template":{"to":"a.{i}","from":"b.{i}","ranges":)"
            R"([{"hole":"i","first":"0","last":"5"}]}}')");
}

TEST(KeyRuleTest, ConversionsAreJson) {
  ConvertRule rule{{"q.{i}", "k.{i}"}, {"qk.{i}"}, {}};
  rule.steps = {ConcatStep{-1, 12, {4, 5}},
                SplitStep{1},
                StackStep{2},
                UnstackStep{3},
                TransposeStep{},
                PermuteStep{{1, 0}},
                ReshapeStep{{0, -1}, {4, 4}},
                SqueezeStep{1},
                UnsqueezeStep{-1},
                DeinterleaveStep{1, true},
                DeinterleaveStep{0},
                RopeStep{8},
                RopeStep{8, true},
                ScaleStep{0.1},
                CastStep{DType::kBFloat16}};
  EXPECT_EQ(KeyRuleToJson(rule),
            R"({"convert":{"from":["q.{i}","k.{i}"],"to":["qk.{i}"],"steps":[)"
            R"({"concat":{"dim":-1,"groups":"12","sizes":["4","5"]}},)"
            R"({"split":{"dim":1}},{"stack":{"dim":2}},{"unstack":{"dim":3}},)"
            R"({"transpose":{"dim0":0,"dim1":1}},{"permute":{"dims":[1,0]}},)"
            R"({"reshape":{"sizes":["0","-1"],"from":["4","4"]}},)"
            R"({"squeeze":{"dim":1}},{"unsqueeze":{"dim":-1}},)"
            R"({"deinterleave":{"dim":1,"inverse":true}},)"
            R"({"deinterleave":{"dim":0}},{"rope":{"heads":"8"}},)"
            R"({"rope":{"heads":"8","inverse":true}},)"
            R"({"scale":{"factor":0.1}},{"cast":{"dtype":"bfloat16"}}]}})");
}

}  // namespace
}  // namespace warmstart
