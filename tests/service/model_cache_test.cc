#include "server/service/model_cache.h"

#include <string>

#include "gtest/gtest.h"
#include "tests/service/world.h"

namespace warmstart::service {
namespace {

ModelPtr Model(const std::string& name, int64_t version) {
  Architecture architecture = MakeSchema(name, {{"w", {1}}});
  architecture.version = version;
  return backend::MakeSchemaArchitecture(std::move(architecture));
}

ArchitectureName Name(const std::string& name) {
  return ArchitectureName::Parse(name).value();
}

// As after reading `name` from the store.
void Read(ModelCache& cache, const std::string& name, const ModelPtr& model) {
  cache.Remember(Name(name), model, cache.Find(Name(name)).revision);
}

TEST(ModelCacheTest, AVersionIsFoundAndAsTheNewestOnlyWhenItIsKnownToBe) {
  ModelCache cache(10);
  const ModelPtr one = Model("a", 1);
  Read(cache, "a/versions/1", one);
  EXPECT_EQ(cache.Find(Name("a/versions/1")).model, one);
  EXPECT_EQ(cache.Find(Name("a")).model, nullptr);
  EXPECT_EQ(cache.Find(Name("a/versions/2")).model, nullptr);
  Read(cache, "a", one);
  EXPECT_EQ(cache.Find(Name("a")).model, one);
}

TEST(ModelCacheTest, ANewVersionLeavesTheOthersButIsTheNewest) {
  ModelCache cache(10);
  Read(cache, "a", Model("a", 1));
  Read(cache, "b", Model("b", 1));
  cache.ForgetNewest("a");
  EXPECT_EQ(cache.Find(Name("a")).model, nullptr);
  EXPECT_NE(cache.Find(Name("a/versions/1")).model, nullptr);
  EXPECT_NE(cache.Find(Name("b")).model, nullptr);
}

TEST(ModelCacheTest, ADeletedVersionIsForgottenAloneOrWithAll) {
  ModelCache cache(10);
  for (const int64_t version : {1, 2, 3}) {
    Read(cache, "a", Model("a", version));
  }
  Read(cache, "aa", Model("aa", 2));
  cache.Forget(Name("a/versions/2"));
  EXPECT_NE(cache.Find(Name("a/versions/1")).model, nullptr);
  EXPECT_EQ(cache.Find(Name("a/versions/2")).model, nullptr);
  EXPECT_NE(cache.Find(Name("a/versions/3")).model, nullptr);
  cache.Forget(Name("a"));
  EXPECT_EQ(cache.Find(Name("a/versions/1")).model, nullptr);
  EXPECT_EQ(cache.Find(Name("a/versions/3")).model, nullptr);
  EXPECT_NE(cache.Find(Name("aa")).model, nullptr);
}

// It may have been deleted between the two.
TEST(ModelCacheTest, WhatWasReadBeforeADeletionIsNotKeptAfterIt) {
  ModelCache cache(10);
  const uint64_t before = cache.Find(Name("a")).revision;
  cache.Forget(Name("a"));
  cache.Remember(Name("a"), Model("a", 1), before);
  EXPECT_EQ(cache.Find(Name("a")).model, nullptr);
  EXPECT_EQ(cache.Find(Name("a/versions/1")).model, nullptr);
}

TEST(ModelCacheTest, ForgottenEntriesMakeRoom) {
  ModelCache cache(2);
  Read(cache, "a", Model("a", 1));
  Read(cache, "b", Model("b", 1));
  cache.Forget(Name("a"));
  Read(cache, "c", Model("c", 1));
  EXPECT_NE(cache.Find(Name("b")).model, nullptr);
  EXPECT_NE(cache.Find(Name("c")).model, nullptr);
}

}  // namespace
}  // namespace warmstart::service
