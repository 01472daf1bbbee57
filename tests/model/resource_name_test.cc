#include "server/model/resource_name.h"

#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart {
namespace {

using ::warmstart::testing::IsOk;
using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(CheckpointNameTest, RandomNamesParseAndDiffer) {
  std::set<CheckpointName> names;
  for (int i = 0; i < 1000; ++i) {
    const CheckpointName name = CheckpointName::Random();
    EXPECT_THAT(CheckpointName::Parse(name.ToString()), IsOkAndHolds(name));
    names.insert(name);
  }
  EXPECT_EQ(names.size(), 1000u);
}

TEST(CheckpointNameTest, OtherTextIsRefused) {
  for (const char* text :
       {"", "abc", "checkpoints/", "checkpoints/A", "checkpoints/a/b",
        "checkpoints/..", "aliases/a", "checkpoints/\xC3\xA9"}) {
    EXPECT_THAT(CheckpointName::Parse(text), StatusIs(kInvalid)) << text;
  }
  EXPECT_THAT(CheckpointName::Parse("checkpoints/" + std::string(65, 'a')),
              StatusIs(kInvalid));
}

TEST(AliasNameTest, TakesPathsWithAndWithoutTheCollection) {
  ASSERT_OK_AND_ASSIGN(const AliasName alias,
                       AliasName::Parse("aliases/resnet50/prod"));
  EXPECT_EQ(alias.id(), "resnet50/prod");
  EXPECT_THAT(AliasName::Parse("resnet50/prod"), IsOkAndHolds(alias));
  EXPECT_EQ(alias.ToString(), "aliases/resnet50/prod");
}

TEST(AliasNameTest, PathTricksAreRefused) {
  for (const char* text : {"", "aliases/", "/a", "a/", "a//b", "../a", "a/..",
                           ".", "a b", "a\n"}) {
    EXPECT_THAT(AliasName::Parse(text), StatusIs(kInvalid)) << text;
  }
  EXPECT_THAT(AliasName::Parse(std::string(129, 'a')), StatusIs(kInvalid));
  EXPECT_THAT(AliasName::Parse("v1.0/a_b-c"), IsOk());
}

TEST(ArchitectureNameTest, TakesIdsWithAndWithoutTheCollection) {
  for (const char* text : {"architectures/NetA", "NetA"}) {
    ASSERT_OK_AND_ASSIGN(const auto name, ArchitectureName::Parse(text));
    EXPECT_EQ(name.id(), "NetA");
    EXPECT_EQ(name.version(), 0);
    EXPECT_EQ(name.ToString(), "architectures/NetA");
  }
  for (const char* text : {"", ".a", "a/b", "architectures/", "a b"}) {
    EXPECT_THAT(ArchitectureName::Parse(text), StatusIs(kInvalid)) << text;
  }
}

TEST(ArchitectureNameTest, TakesVersions) {
  for (const char* text :
       {"architectures/resnet50/versions/12", "resnet50/versions/12"}) {
    ASSERT_OK_AND_ASSIGN(const auto name, ArchitectureName::Parse(text));
    EXPECT_EQ(name.id(), "resnet50");
    EXPECT_EQ(name.version(), 12);
    EXPECT_EQ(name.ToString(), "architectures/resnet50/versions/12");
  }
  for (const char* text :
       {"a/versions/", "a/versions/0", "a/versions/01", "a/versions/-1",
        "a/versions/+1", "a/versions/ 1", "a/versions/1.0", "a/versions/1/2",
        "a/versions/9007199254740993", "/versions/1", "a/versions"}) {
    EXPECT_THAT(ArchitectureName::Parse(text), StatusIs(kInvalid)) << text;
  }
}

}  // namespace
}  // namespace warmstart
