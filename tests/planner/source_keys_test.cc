#include "server/planner/source_keys.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "tests/planner/builders.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::planner {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

class SourceKeysTest : public ::testing::Test {
 protected:
  absl::StatusOr<SourceKeys> Select(const Manifest& manifest,
                                    std::string subtree = "",
                                    std::vector<std::string> include = {},
                                    std::vector<std::string> exclude = {},
                                    std::vector<KeyRule> rules = {}) {
    rules_ = std::move(rules);
    const KeySelection selection{GlobSet::Create("include", include).value(),
                                 GlobSet::Create("exclude", exclude).value(),
                                 RuleEngine::Create(rules_, 1).value()};
    return SelectSourceKeys(0, {&manifest, "checkpoints/c", std::move(subtree)},
                            selection, target_, IndexOf(target_));
  }

  static std::vector<std::string> Keys(const SourceKeys& selected) {
    std::vector<std::string> keys;
    for (const NamedTensor& key : selected.keys) keys.push_back(key.key);
    return keys;
  }

  const Architecture target_ =
      MakeArchitecture("Net", {{"w", {1}}, {"b", {1}}});
  std::vector<KeyRule> rules_;
};

Manifest Nested(const std::vector<std::string>& subtrees,
                const std::vector<std::string>& keys) {
  std::vector<Tensor> tensors;
  for (const std::string& key : keys) tensors.push_back({key, {1}});
  Manifest manifest = MakeManifest(tensors);
  manifest.subtrees = subtrees;
  return manifest;
}

TEST_F(SourceKeysTest, TakesTheRootWhereAKeyMatches) {
  const Manifest manifest = Nested({"model"}, {"w", "model.w", "model.b"});
  ASSERT_OK_AND_ASSIGN(const SourceKeys selected, Select(manifest));
  EXPECT_EQ(selected.subtree, "");
  EXPECT_THAT(Keys(selected), ElementsAre("w", "model.w", "model.b"));
  EXPECT_THAT(selected.notes, IsEmpty());
}

TEST_F(SourceKeysTest, LooksWherePeopleKeepModels) {
  for (const char* place :
       {"state_dict", "model", "model_state", "module", "state_dict_ema",
        "model_ema", "model_state_dict"}) {
    const std::string prefix = absl::StrCat(place, ".");
    const Manifest manifest = Nested(
        {"optimizer", place}, {"optimizer.x", prefix + "w", prefix + "b"});
    ASSERT_OK_AND_ASSIGN(const SourceKeys selected, Select(manifest));
    EXPECT_EQ(selected.subtree, place);
    EXPECT_THAT(Keys(selected), ElementsAre("w", "b"));
    EXPECT_THAT(selected.notes, ElementsAre(HasSubstr(place)));
  }
}

TEST_F(SourceKeysTest, TakesTheSubtreeThatMatchesMost) {
  const Manifest manifest =
      Nested({"state_dict", "model_ema"},
             {"state_dict.w", "model_ema.w", "model_ema.b"});
  ASSERT_OK_AND_ASSIGN(const SourceKeys selected, Select(manifest));
  EXPECT_EQ(selected.subtree, "model_ema");
}

TEST_F(SourceKeysTest, TakesTheMoreUsualOfTwoThatMatchAlike) {
  const Manifest manifest =
      Nested({"model_ema", "model"}, {"model_ema.w", "model.w"});
  ASSERT_OK_AND_ASSIGN(const SourceKeys selected, Select(manifest));
  EXPECT_EQ(selected.subtree, "model");
}

TEST_F(SourceKeysTest, FindsSubtreesOfSubtrees) {
  const Manifest manifest =
      Nested({"trainer", "trainer.model"}, {"trainer.model.w"});
  ASSERT_OK_AND_ASSIGN(const SourceKeys selected, Select(manifest));
  EXPECT_EQ(selected.subtree, "trainer.model");
}

// A flat file of DataParallel has the prefix "module." but no dict "module":
// PyTorch finds all of its keys unexpected, and so do we.
TEST_F(SourceKeysTest, APrefixIsNoSubtree) {
  const Manifest manifest = Nested({}, {"module.w", "module.b"});
  ASSERT_OK_AND_ASSIGN(const SourceKeys selected, Select(manifest));
  EXPECT_EQ(selected.subtree, "");
  EXPECT_THAT(Keys(selected), ElementsAre("module.w", "module.b"));
}

TEST_F(SourceKeysTest, UnusualPlacesAreSuggestedNotTaken) {
  const Manifest manifest =
      Nested({"netA_state", "netB_state"}, {"netA_state.w", "netB_state.b"});
  ASSERT_OK_AND_ASSIGN(const SourceKeys selected, Select(manifest));
  EXPECT_EQ(selected.subtree, "");
  EXPECT_THAT(selected.notes,
              ElementsAre(AllOf(HasSubstr("'netA_state' (1)"),
                                HasSubstr("'netB_state' (1)"))));
}

TEST_F(SourceKeysTest, ANamedSubtreeIsTakenEvenWhereThePlainKeysMatch) {
  const Manifest manifest = Nested({"ema"}, {"w", "ema.w", "emas.b"});
  ASSERT_OK_AND_ASSIGN(const SourceKeys selected, Select(manifest, "ema"));
  EXPECT_EQ(selected.subtree, "ema");
  EXPECT_THAT(selected.keys, SizeIs(1));
  EXPECT_EQ(AsSourceTensor(*selected.keys[0].value)->entry, 1);
}

TEST_F(SourceKeysTest, ASubtreeThatIsNotThereIsAnErrorThatListsThoseThatAre) {
  const Manifest manifest = Nested({"ema", "model"}, {"ema.w", "model.w"});
  const auto selected = Select(manifest, "emo");
  EXPECT_THAT(selected,
              StatusIs(absl::StatusCode::kNotFound,
                       AllOf(HasSubstr("'emo'"), HasSubstr("ema, model"))));
  EXPECT_EQ(GetErrorInfo(selected.status())->reason, "SUBTREE_NOT_FOUND");
}

TEST_F(SourceKeysTest, GlobsSeeKeysBeforeRules) {
  const Manifest manifest = Nested({}, {"x.w", "x.b", "y.w"});
  ASSERT_OK_AND_ASSIGN(
      const SourceKeys selected,
      Select(manifest, "", {"x.*"}, {"*.b"}, {StripPrefixRule{"x."}}));
  EXPECT_THAT(Keys(selected), ElementsAre("w"));
}

TEST_F(SourceKeysTest, TwoKeysThatEndOnOneAreAnErrorThatNamesBoth) {
  const Manifest manifest = Nested({}, {"x.w", "y.w"});
  const auto selected =
      Select(manifest, "", {}, {}, {RegexRule{"^[xy]\\.", ""}});
  EXPECT_THAT(selected, StatusIs(absl::StatusCode::kInvalidArgument,
                                 AllOf(HasSubstr("'x.w'"), HasSubstr("'y.w'"),
                                       HasSubstr("'w'"))));
  EXPECT_EQ(GetErrorInfo(selected.status())->reason, "KEY_COLLISION");
}

TEST_F(SourceKeysTest, OfTwoKeysThatEndOnOneTheHigherPriorityWins) {
  const Manifest manifest = Nested({}, {"x.w", "y.w", "b"});
  KeyRule preferred = StripPrefixRule{"y."};
  preferred.priority = 1;
  ASSERT_OK_AND_ASSIGN(
      const SourceKeys selected,
      Select(manifest, "", {}, {}, {StripPrefixRule{"x."}, preferred}));
  EXPECT_THAT(Keys(selected), ElementsAre("w", "b"));
  EXPECT_EQ(*AsSourceTensor(*selected.keys[0].value), (SourceOp{0, 1}));
  EXPECT_THAT(selected.shadowed, ElementsAre(SourceOp{0, 0}));
}

TEST_F(SourceKeysTest, ASubtreeThatTheRulesFailOnIsNotTaken) {
  const Manifest manifest =
      Nested({"model", "ema"}, {"model.q", "model.k", "ema.q"});
  ASSERT_OK_AND_ASSIGN(
      const SourceKeys selected,
      Select(manifest, "", {}, {},
             {ConvertRule{{"q", "k"}, {"w"}, {ConcatStep{0}}}}));
  EXPECT_EQ(selected.subtree, "model");
  EXPECT_THAT(Keys(selected), ElementsAre("w"));
}

}  // namespace
}  // namespace warmstart::planner
