#include "server/rpc/manifest_translation.h"

#include <google/protobuf/text_format.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/rpc/rpc_world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::rpc {
namespace {

Manifest FullManifest() {
  Manifest manifest;
  ManifestEntry plain;
  plain.key = "m.w";
  plain.spec =
      TensorSpec::Create(DType::kBFloat16, Shape::Create({2, 3}).value())
          .value();
  plain.digest = Digest::Of("w");
  ManifestEntry view = plain;
  view.key = "m.v";
  view.view = StorageView{0, 5, {3, 1}};
  manifest.entries = {plain, view};
  manifest.storages = {{Digest::Of("s"), 100}};
  manifest.subtrees = {"m"};
  manifest.module_versions = {{"", 1}, {"m", 2}};
  manifest.metadata_json = R"({"epoch":3})";
  return manifest;
}

v1::Manifest Translate(const Manifest& manifest, bool full) {
  v1::Manifest proto;
  for (const ManifestEntry& entry : manifest.entries) {
    ToProto(entry, full, proto.add_entries());
  }
  if (full) AddManifestDetails(manifest, &proto);
  return proto;
}

TEST(ManifestTranslationTest, WhatWasTranslatedThereComesBack) {
  const Manifest manifest = FullManifest();
  ASSERT_OK_AND_ASSIGN(const Manifest back,
                       FromProto(Translate(manifest, /*full=*/true)));
  EXPECT_EQ(back, manifest);
}

TEST(ManifestTranslationTest, TheBasicViewTellsWhatIsShared) {
  const v1::Manifest proto = Translate(FullManifest(), /*full=*/false);
  EXPECT_EQ(proto.entries(0).key(), "m.w");
  EXPECT_EQ(proto.entries(0).dtype(), "bfloat16");
  EXPECT_EQ(proto.entries(0).shape(1), 3);
  EXPECT_EQ(proto.entries(0).digest(), Digest::Of("w").ToHex());
  EXPECT_EQ(proto.entries(0).shared_storage(), 0);
  // The first shared storage is not 0, which says that there is none.
  EXPECT_EQ(proto.entries(1).shared_storage(), 1);
  EXPECT_EQ(proto.entries(1).storage_offset(), 0);
  EXPECT_EQ(proto.entries(1).strides_size(), 0);
  EXPECT_EQ(proto.storages_size(), 0);
}

TEST(ManifestTranslationTest, AMistakeIsNamedByItsField) {
  const struct {
    const char* text;
    const char* field;
  } kCases[] = {
      {R"(dtype: "float33")", "manifest.entries[0].dtype"},
      {R"(dtype: "int8" shape: -1)", "manifest.entries[0].shape"},
      {R"(dtype: "int64" shape: 4611686018427387904)",
       "manifest.entries[0].shape"},
      {R"(dtype: "int8" digest: "1")", "manifest.entries[0].digest"},
  };
  for (const auto& [text, field] : kCases) {
    v1::Manifest proto;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
        text, proto.add_entries()));
    EXPECT_EQ(service::FieldOf(FromProto(proto).status()), field) << text;
  }
  v1::Manifest proto = Translate(FullManifest(), /*full=*/true);
  proto.mutable_entries(1)->set_shared_storage(-1);
  EXPECT_EQ(service::FieldOf(FromProto(proto).status()),
            "manifest.entries[1].shared_storage");
  proto.mutable_entries(1)->set_shared_storage(1);
  proto.mutable_storages(0)->set_digest("x");
  EXPECT_EQ(service::FieldOf(FromProto(proto).status()),
            "manifest.storages[0].digest");
}

}  // namespace
}  // namespace warmstart::rpc
