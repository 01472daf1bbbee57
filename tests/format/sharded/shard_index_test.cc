#include "server/format/sharded/shard_index.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using ::warmstart::testing::StatusIs;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

TEST(ShardIndexTest, KeysShardsAndMetadataAreRead) {
  ASSERT_OK_AND_ASSIGN(const ShardIndex index, ParseShardIndex(R"({
    "metadata": {"total_size": 28, "nested": {"a": [1, 2.5]}},
    "weight_map": {"x": "b.bin", "y": "a.bin", "z": "b.bin"},
    "producer": "someone"})"));
  EXPECT_THAT(index.shards, ElementsAre("b.bin", "a.bin"));
  EXPECT_THAT(index.shard_of_key,
              UnorderedElementsAre(Pair("x", 0), Pair("y", 1), Pair("z", 0)));
  EXPECT_EQ(index.metadata_json, R"({"nested":{"a":[1,2.5]},"total_size":28})");
}

TEST(ShardIndexTest, MetadataMayBeMissingOrEmpty) {
  ASSERT_OK_AND_ASSIGN(const ShardIndex missing,
                       ParseShardIndex(R"({"weight_map": {"x": "a"}})"));
  EXPECT_EQ(missing.metadata_json, "");
  ASSERT_OK_AND_ASSIGN(
      const ShardIndex empty,
      ParseShardIndex(R"({"weight_map": {"x": "a"}, "metadata": {}})"));
  EXPECT_EQ(empty.metadata_json, "");
}

// A weight_map elsewhere is not the weight_map, and names no shards.
TEST(ShardIndexTest, NestedNamesakesAreNotTaken) {
  ASSERT_OK_AND_ASSIGN(const ShardIndex index, ParseShardIndex(R"({
    "metadata": {"weight_map": {"p": "q"}, "metadata": 1},
    "other": {"weight_map": {"r": "../s"}},
    "weight_map": {"x": "a"}})"));
  EXPECT_THAT(index.shards, ElementsAre("a"));
  EXPECT_EQ(index.metadata_json, R"({"metadata":1,"weight_map":{"p":"q"}})");
}

TEST(ShardIndexTest, WhatIsNoIndexIsRefused) {
  EXPECT_THAT(ParseShardIndex("{"),
              StatusIs(kInvalid, HasSubstr("syntax error at byte")));
  EXPECT_THAT(ParseShardIndex("[]"),
              StatusIs(kInvalid, "the index is not an object"));
  EXPECT_THAT(ParseShardIndex("{}"),
              StatusIs(kInvalid, "the index has no weight_map"));
  EXPECT_THAT(ParseShardIndex(R"({"weight_map": {}})"),
              StatusIs(kInvalid, "weight_map is empty"));
  for (absl::string_view value : {"[]", "\"a\"", "1", "null"}) {
    EXPECT_THAT(ParseShardIndex(absl::StrCat("{\"weight_map\": ", value, "}")),
                StatusIs(kInvalid, "weight_map is not an object"));
    EXPECT_THAT(ParseShardIndex(absl::StrCat("{\"metadata\": ", value, "}")),
                StatusIs(kInvalid, "metadata is not an object"));
  }
}

TEST(ShardIndexTest, KeyThatIsThereTwiceIsRefused) {
  EXPECT_THAT(ParseShardIndex(R"({"weight_map": {"x": "a", "x": "b"}})"),
              StatusIs(kInvalid, HasSubstr("key 'x' is there twice")));
}

TEST(ShardIndexTest, KeyThatBreaksTheRuleIsRefused) {
  EXPECT_THAT(ParseShardIndex(R"({"weight_map": {"../x": "a"}})"),
              StatusIs(kInvalid, HasSubstr("'..' path component")));
}

TEST(ShardIndexTest, ShardThatIsNoStringIsRefused) {
  for (absl::string_view value : {"1", "[\"a\"]", "{\"a\": \"b\"}", "null"}) {
    EXPECT_THAT(
        ParseShardIndex(absl::StrCat("{\"weight_map\": {\"x\": ", value, "}}")),
        StatusIs(kInvalid, "weight_map: the shard of key 'x' is not a string"));
  }
}

TEST(ShardIndexTest, ShardNameWithPathTricksIsRefused) {
  for (absl::string_view name :
       {"", "..", "../a", "/etc/passwd", "a/b", "a\\\\b", "a\\u0000", "\\n"}) {
    EXPECT_THAT(
        ParseShardIndex(
            absl::StrCat("{\"weight_map\": {\"x\": \"", name, "\"}}")),
        StatusIs(kInvalid, HasSubstr("of key 'x' is no plain file name")))
        << name;
  }
}

TEST(ShardIndexTest, DeepNestingIsRefused) {
  EXPECT_THAT(
      ParseShardIndex(absl::StrCat("{\"metadata\":", std::string(1000, '['))),
      StatusIs(kInvalid, HasSubstr("metadata is not an object")));
  std::string objects;
  for (int i = 0; i < 100; ++i) objects += "{\"metadata\":";
  EXPECT_THAT(ParseShardIndex(objects),
              StatusIs(kInvalid, HasSubstr("nested deeper")));
}

TEST(ShardIndexTest, IndexIsToldFromSafetensors) {
  EXPECT_TRUE(IsShardIndex(R"({"weight_map": {}})"));
  EXPECT_TRUE(IsShardIndex("\n  {\"weight_map\": {}}"));
  EXPECT_TRUE(IsShardIndex("{}"));
  EXPECT_FALSE(IsShardIndex(""));
  EXPECT_FALSE(IsShardIndex("PK"));
  // A header of 123 bytes: 123 is the code of "{".
  EXPECT_FALSE(IsShardIndex(absl::string_view("{\0\0\0\0\0\0\0{}", 10)));
}

}  // namespace
}  // namespace warmstart::format
