#include "server/model/json_writer.h"

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/model/utf8.h"

namespace warmstart {
namespace {

using Json = nlohmann::ordered_json;

std::string Written(absl::string_view value) {
  JsonWriter json;
  json.String(value);
  return std::move(json).Take();
}

TEST(JsonWriterTest, FractionsReadAsTheyWere) {
  JsonWriter json;
  json.BeginArray().Double(0.1).Double(-3).Double(1e-300);
  json.Double(std::numeric_limits<double>::infinity()).EndArray();
  const std::string text = std::move(json).Take();
  EXPECT_EQ(text, "[0.1,-3,1e-300,null]");
  EXPECT_EQ(Json::parse(text)[2].get<double>(), 1e-300);
}

TEST(JsonWriterTest, CommasStandBetweenAndNowhereElse) {
  JsonWriter json;
  json.BeginObject();
  json.Key("empty").BeginArray().EndArray();
  json.Key("object").BeginObject().EndObject();
  json.Key("names").Strings(std::vector<std::string>{"a", "b"});
  json.Key("sizes").Ints(std::vector<int64_t>{1, 2, 3});
  json.Key("nested").BeginArray();
  json.BeginObject().Key("yes").Bool(true).Key("no").Bool(false).EndObject();
  json.BeginArray().Int(1).EndArray();
  json.EndArray();
  json.EndObject();
  EXPECT_EQ(std::move(json).Take(),
            R"({"empty":[],"object":{},"names":["a","b"],"sizes":[1,2,3],)"
            R"("nested":[{"yes":true,"no":false},[1]]})");
}

TEST(JsonWriterTest, WholeNumbersComeBack) {
  for (const int64_t value :
       {std::numeric_limits<int64_t>::min(), int64_t{-1}, int64_t{0},
        std::numeric_limits<int64_t>::max()}) {
    JsonWriter json;
    json.Int(value);
    EXPECT_EQ(Json::parse(std::move(json).Take()).get<int64_t>(), value);
  }
}

TEST(JsonWriterTest, EveryAsciiCharacterComesBack) {
  for (int c = 0; c < 0x80; ++c) {
    const std::string text = {'a', static_cast<char>(c), 'b'};
    EXPECT_EQ(Json::parse(Written(text)).get<std::string>(), text) << c;
  }
}

TEST(JsonWriterTest, CharactersOfEveryLengthComeBack) {
  const std::string text = "q\"\\/\xC2\x80\xE2\x82\xAC\xF0\x9F\x98\x80 end";
  EXPECT_EQ(Json::parse(Written(text)).get<std::string>(), text);
}

TEST(JsonWriterTest, WhatIsNoUtf8BecomesReplacementCharacters) {
  EXPECT_EQ(Written("a\xFF"
                    "b\xE2\x82"),
            "\"a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

TEST(JsonWriterTest, AnyBytesGiveTextThatCanBeRead) {
  for (uint32_t seed = 0; seed < 500; ++seed) {
    std::mt19937 random(seed);
    std::string bytes(random() % 24, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    const std::string text = Written(bytes);
    ASSERT_TRUE(IsUtf8(text));
    const std::string back = Json::parse(text).get<std::string>();
    if (IsUtf8(bytes)) {
      EXPECT_EQ(back, bytes);
    }
  }
}

}  // namespace
}  // namespace warmstart
