#include "client/cpp/safetensors_head.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace warmstart::client {
namespace {

// The JSON of a head, whose first eight bytes tell its size.
nlohmann::json HeaderOf(const std::string& head) {
  uint64_t size = 0;
  for (int i = 7; i >= 0; --i) {
    size = size << 8 | static_cast<unsigned char>(head[i]);
  }
  EXPECT_EQ(size, head.size() - 8);
  return nlohmann::json::parse(head.substr(8));
}

TEST(SafetensorsHeadTest, TensorsFollowEachOther) {
  const std::string head = SafetensorsHead({{"aa", 3}, {"bb", 0}, {"cc", 5}});
  const nlohmann::json header = HeaderOf(head);
  ASSERT_EQ(header.size(), 3);
  EXPECT_EQ(header["aa"],
            nlohmann::json(
                {{"dtype", "U8"}, {"shape", {3}}, {"data_offsets", {0, 3}}}));
  EXPECT_EQ(header["bb"]["data_offsets"], nlohmann::json({3, 3}));
  EXPECT_EQ(header["cc"]["data_offsets"], nlohmann::json({3, 8}));
}

TEST(SafetensorsHeadTest, TheBytesBeginAtAMultipleOf64) {
  for (int length = 1; length < 70; ++length) {
    const std::string head = SafetensorsHead({{std::string(length, 'a'), 1}});
    EXPECT_EQ(head.size() % 64, 0) << length;
    HeaderOf(head);
  }
}

TEST(SafetensorsHeadTest, NoTensorsAreAFileToo) {
  EXPECT_EQ(HeaderOf(SafetensorsHead({})), nlohmann::json::object());
}

}  // namespace
}  // namespace warmstart::client
