#include "server/torch/key_seed.h"

#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "tests/torch/expectations.h"

namespace warmstart::backend {
namespace {

TEST(KeySeedTest, EqualsWhatPythonComputesAsDocumented) {
  for (const auto& json : testing::Expectations()["schemas"]["key_seeds"]) {
    EXPECT_EQ(
        KeySeed(json["seed"].get<uint64_t>(), json["key"].get<std::string>()),
        json["key_seed"].get<uint64_t>())
        << json;
  }
}

TEST(KeySeedTest, DependsOnSeedAndKey) {
  EXPECT_NE(KeySeed(1, "a"), KeySeed(2, "a"));
  EXPECT_NE(KeySeed(1, "a"), KeySeed(1, "b"));
}

// A key of the bytes that end one seed must not pass for another seed.
TEST(KeySeedTest, SeedAndKeyDoNotRunIntoEachOther) {
  EXPECT_NE(KeySeed(0, std::string(1, '\0')), KeySeed(0, ""));
}

}  // namespace
}  // namespace warmstart::backend
