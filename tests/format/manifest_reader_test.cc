#include "server/format/manifest_reader.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

ManifestEntry EntryOf(const std::string& key, std::vector<int64_t> sizes) {
  ManifestEntry entry;
  entry.key = key;
  entry.spec = TensorSpec::Create(DType::kFloat32,
                                  Shape::Create(std::move(sizes)).value())
                   .value();
  return entry;
}

ManifestEntry ViewOf(const std::string& key, std::vector<int64_t> sizes,
                     StorageView view) {
  ManifestEntry entry = EntryOf(key, std::move(sizes));
  entry.view = std::move(view);
  return entry;
}

// Of one shared storage of `num_bytes`, and these.
Manifest Sharing(int64_t num_bytes, std::vector<ManifestEntry> entries) {
  Manifest manifest;
  manifest.storages = {{Digest(), num_bytes}};
  manifest.entries = std::move(entries);
  return manifest;
}

TEST(ManifestReaderTest, WhatAManifestSaysIsWhatAFileWouldHold) {
  Manifest manifest =
      Sharing(48, {ViewOf("a", {3}, {0, 2, {1}}), EntryOf("m.b", {2, 2}),
                   ViewOf("m.c", {4, 3}, {0, 0, {1, 4}})});
  manifest.subtrees = {"m"};
  manifest.module_versions = {{"", 1}, {"m", 2}};
  manifest.metadata_json = R"({"b": 1.0,  "a": [null]})";
  ASSERT_OK_AND_ASSIGN(const FileContents contents, ReadManifest(manifest));
  ASSERT_THAT(contents.storages, SizeIs(2));
  EXPECT_EQ(contents.storages[0].num_bytes, 48);
  EXPECT_EQ(contents.storages[1].num_bytes, 16);
  EXPECT_EQ(contents.storages[1].file, 1);
  ASSERT_THAT(contents.tensors, SizeIs(3));
  EXPECT_EQ(contents.tensors[0].element_offset, 2);
  EXPECT_EQ(contents.tensors[1].storage, 1);
  EXPECT_THAT(contents.tensors[1].strides, ElementsAre(2, 1));
  EXPECT_EQ(contents.tensors[2].storage, 0);
  EXPECT_THAT(contents.tensors[2].strides, ElementsAre(1, 4));
  EXPECT_THAT(contents.subtrees, ElementsAre("m"));
  EXPECT_EQ(contents.module_versions, manifest.module_versions);
  EXPECT_EQ(contents.metadata_json, R"({"a":[null],"b":1.0})");
}

TEST(ManifestReaderTest, AManifestHoldsATensor) {
  EXPECT_THAT(ReadManifest({}).status(),
              StatusIs(kInvalid, HasSubstr("no entries")));
}

TEST(ManifestReaderTest, KeysAreThoseThatAFileMayHave) {
  Manifest manifest;
  manifest.entries = {EntryOf("a", {1}), EntryOf("a", {1})};
  EXPECT_THAT(ReadManifest(manifest).status(),
              StatusIs(kInvalid, HasSubstr("'a'")));
  for (const char* key : {"", "../a", "/a", "a\nb", "\xFF"}) {
    manifest.entries = {EntryOf(key, {1})};
    EXPECT_THAT(ReadManifest(manifest).status(), StatusIs(kInvalid)) << key;
  }
}

TEST(ManifestReaderTest, AViewLiesInItsStorage) {
  for (const StorageView& view : std::vector<StorageView>{
           {1, 0, {1}},         // no such storage
           {-1, 0, {1}},        // nor that
           {0, 1, {1}},         // one element too far
           {0, 0, {2}},         // strides that reach too far
           {0, -1, {1}},        // before its begin
           {0, 0, {-1}},        // backwards
           {0, 0, {}},          // not as many strides as dimensions
           {0, 0, {1, 1}},      // nor as many
           {0, INT64_MAX, {1}}  // an overflow
       }) {
    EXPECT_THAT(ReadManifest(Sharing(16, {ViewOf("a", {4}, view)})).status(),
                StatusIs(kInvalid, HasSubstr("a")));
  }
  EXPECT_OK(ReadManifest(Sharing(16, {ViewOf("a", {4}, {0, 0, {1}})})));
}

TEST(ManifestReaderTest, AViewHasElements) {
  EXPECT_THAT(
      ReadManifest(Sharing(16, {ViewOf("a", {0}, {0, 0, {1}})})).status(),
      StatusIs(kInvalid, HasSubstr("no elements")));
}

TEST(ManifestReaderTest, AFewBytesDoNotExpandToAnySize) {
  const ManifestEntry expanded = ViewOf("a", {int64_t{1} << 40}, {0, 0, {0}});
  EXPECT_THAT(ReadManifest(Sharing(4, {expanded})).status(),
              StatusIs(kInvalid, HasSubstr("expand")));
  EXPECT_OK(ReadManifest(Sharing(4, {ViewOf("a", {1000}, {0, 0, {0}})})));
}

TEST(ManifestReaderTest, AStorageHasBytesAndViews) {
  EXPECT_THAT(ReadManifest(Sharing(4, {EntryOf("a", {1})})).status(),
              StatusIs(kInvalid, HasSubstr("storage 0")));
  EXPECT_THAT(ReadManifest(Sharing(0, {EntryOf("a", {1})})).status(),
              StatusIs(kInvalid, HasSubstr("storage 0")));
  EXPECT_THAT(ReadManifest(Sharing(-4, {EntryOf("a", {1})})).status(),
              StatusIs(kInvalid, HasSubstr("storage 0")));
}

TEST(ManifestReaderTest, ASubtreeHoldsTensors) {
  Manifest manifest;
  manifest.entries = {EntryOf("model.w", {1}), EntryOf("model2.w", {1})};
  for (const char* subtree : {"mode", "model.w", "model3", "", "z"}) {
    manifest.subtrees = {subtree};
    EXPECT_THAT(ReadManifest(manifest).status(),
                StatusIs(kInvalid, HasSubstr("subtree")))
        << subtree;
  }
  manifest.subtrees = {"model2", "model"};
  EXPECT_OK(ReadManifest(manifest));
}

TEST(ManifestReaderTest, AModuleHasOneVersion) {
  Manifest manifest;
  manifest.entries = {EntryOf("w", {1})};
  manifest.module_versions = {{"a", 1}, {"a", 1}};
  EXPECT_THAT(ReadManifest(manifest).status(),
              StatusIs(kInvalid, HasSubstr("'a'")));
  manifest.module_versions = {{"\xFF", 1}};
  EXPECT_THAT(ReadManifest(manifest).status(),
              StatusIs(kInvalid, HasSubstr("UTF-8")));
}

TEST(ManifestReaderTest, MetadataIsAJsonObjectOfSomeDepth) {
  Manifest manifest;
  manifest.entries = {EntryOf("w", {1})};
  std::string deep;
  for (int i = 0; i < 300; ++i)
    deep = R"({"a":)" + (deep.empty() ? "1" : deep) + "}";
  for (const std::string& text :
       {std::string("{"), std::string("[]"), std::string("1"),
        std::string(R"({"a":1,"a":2})"), std::string("{}x"),
        std::string("{\"a\":\"\xFF\"}"), deep}) {
    manifest.metadata_json = text;
    EXPECT_THAT(ReadManifest(manifest).status(),
                StatusIs(kInvalid, HasSubstr("metadata")))
        << text;
  }
  manifest.metadata_json = "{}";
  ASSERT_OK_AND_ASSIGN(const FileContents contents, ReadManifest(manifest));
  EXPECT_EQ(contents.metadata_json, "");
}

TEST(ManifestReaderTest, MetadataHasALimit) {
  Manifest manifest;
  manifest.entries = {EntryOf("w", {1})};
  manifest.metadata_json =
      R"({"a":")" + std::string(size_t{17} << 20, 'x') + R"("})";
  EXPECT_THAT(ReadManifest(manifest).status(),
              StatusIs(kInvalid, HasSubstr("metadata")));
}

}  // namespace
}  // namespace warmstart::format
