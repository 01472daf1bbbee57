#include "server/store/random_id.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace warmstart::store {
namespace {

TEST(RandomIdTest, IdsAre32HexDigitsAndDiffer) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = RandomId();
    EXPECT_TRUE(IsRandomId(id)) << id;
    EXPECT_TRUE(ids.insert(id).second) << id;
  }
}

TEST(RandomIdTest, OtherNamesAreNoIds) {
  const std::string id(32, 'a');
  EXPECT_TRUE(IsRandomId(id));
  EXPECT_FALSE(IsRandomId(""));
  EXPECT_FALSE(IsRandomId(id.substr(1)));
  EXPECT_FALSE(IsRandomId(id + "0"));
  EXPECT_FALSE(IsRandomId(std::string(32, 'A')));
  EXPECT_FALSE(IsRandomId(std::string(32, 'g')));
  EXPECT_FALSE(IsRandomId("../" + id.substr(3)));
}

}  // namespace
}  // namespace warmstart::store
