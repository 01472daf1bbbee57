#include "server/store/manifest_cache.h"

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/store/store_test_util.h"

namespace warmstart::store {
namespace {

using ::testing::Gt;
using ::testing::IsNull;
using ::testing::NotNull;

class ManifestCacheTest : public ::testing::Test {
 protected:
  static std::shared_ptr<const Manifest> OneManifest() {
    return std::make_shared<const Manifest>(ManifestOf({{"w", "1"}}));
  }

  void Add(const std::string& name) {
    cache_.Add(MakeCheckpointName(name), OneManifest(), cache_.BeginRead());
  }
  std::shared_ptr<const Manifest> Find(const std::string& name) {
    return cache_.Find(MakeCheckpointName(name));
  }

  // Room for three.
  ManifestCache cache_{3 * MemoryOf(*OneManifest())};
};

TEST_F(ManifestCacheTest, WhatWasAddedIsFound) {
  const auto manifest = OneManifest();
  cache_.Add(MakeCheckpointName("a"), manifest, cache_.BeginRead());
  EXPECT_EQ(Find("a"), manifest);
  EXPECT_THAT(Find("b"), IsNull());
}

TEST_F(ManifestCacheTest, WhatWasUsedLongestAgoGoesFirst) {
  for (const char* name : {"a", "b", "c"}) Add(name);
  Find("a");
  Add("d");
  EXPECT_THAT(Find("b"), IsNull());
  for (const char* name : {"a", "c", "d"}) EXPECT_THAT(Find(name), NotNull());
  Add("e");
  EXPECT_THAT(Find("a"), IsNull());
}

TEST_F(ManifestCacheTest, WhatIsGoneStaysWithWhoHasIt) {
  Add("a");
  const auto manifest = Find("a");
  for (const char* name : {"b", "c", "d"}) Add(name);
  EXPECT_THAT(Find("a"), IsNull());
  EXPECT_EQ(*manifest, *OneManifest());
}

TEST_F(ManifestCacheTest, WhatHasNoRoomLeavesTheOthers) {
  Add("a");
  Manifest large = *OneManifest();
  large.metadata_json = std::string(4 * MemoryOf(large), ' ');
  cache_.Add(MakeCheckpointName("large"),
             std::make_shared<const Manifest>(large), cache_.BeginRead());
  EXPECT_THAT(Find("large"), IsNull());
  EXPECT_THAT(Find("a"), NotNull());
}

TEST_F(ManifestCacheTest, AddingTwiceTakesTheRoomOfOne) {
  for (int i = 0; i < 10; ++i) Add("a");
  Add("b");
  Add("c");
  for (const char* name : {"a", "b", "c"}) EXPECT_THAT(Find(name), NotNull());
}

TEST_F(ManifestCacheTest, WhatIsForgottenMakesRoom) {
  for (const char* name : {"a", "b", "c"}) Add(name);
  cache_.Forget(MakeCheckpointName("b"));
  cache_.Forget(MakeCheckpointName("never-there"));
  EXPECT_THAT(Find("b"), IsNull());
  Add("d");
  for (const char* name : {"a", "c", "d"}) EXPECT_THAT(Find(name), NotNull());
}

// Its checkpoint may have been deleted after it was read.
TEST_F(ManifestCacheTest, WhatWasReadBeforeAnythingWasForgottenIsNotAdded) {
  const ManifestCache::Ticket ticket = cache_.BeginRead();
  cache_.Forget(MakeCheckpointName("a"));
  cache_.Add(MakeCheckpointName("a"), OneManifest(), ticket);
  EXPECT_THAT(Find("a"), IsNull());
  Add("a");
  EXPECT_THAT(Find("a"), NotNull());
}

TEST(MemoryOfManifestTest, EveryPartCounts) {
  const std::string text(100, 'x');
  Manifest manifest;
  size_t memory = MemoryOf(manifest);
  const auto expect_more = [&] {
    const size_t before = memory;
    memory = MemoryOf(manifest);
    EXPECT_THAT(memory, Gt(before));
  };
  manifest = ManifestOf({{"w", "1"}});
  expect_more();
  manifest.entries[0].key += text;
  expect_more();
  manifest.entries[0].view = StorageView{.strides = {1}};
  expect_more();
  manifest.storages.resize(1);
  expect_more();
  manifest.subtrees = {text};
  expect_more();
  manifest.module_versions = {{text, 1}};
  expect_more();
  manifest.metadata_json = text;
  expect_more();
}

}  // namespace
}  // namespace warmstart::store
