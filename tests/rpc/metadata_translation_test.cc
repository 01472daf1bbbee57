#include "server/rpc/metadata_translation.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "warmstart/v1/checkpoints.pb.h"

namespace warmstart::rpc {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

TEST(MetadataToProtoTest, EveryKindOfValueIsKept) {
  Struct proto;
  ASSERT_OK(MetadataToProto(
      R"({"null":null,"yes":true,"no":false,"int":-3,"large":9007199254740992,
          "fraction":0.25,"text":"été","list":[1,"two",[]],"dict":{"a":{}}})",
      &proto));
  const auto& fields = proto.fields();
  ASSERT_THAT(fields, SizeIs(9));
  EXPECT_EQ(fields.at("null").kind_case(), Value::kNullValue);
  EXPECT_TRUE(fields.at("yes").bool_value());
  EXPECT_EQ(fields.at("no").kind_case(), Value::kBoolValue);
  EXPECT_EQ(fields.at("int").number_value(), -3);
  EXPECT_EQ(fields.at("large").number_value(), 9007199254740992.0);
  EXPECT_EQ(fields.at("fraction").number_value(), 0.25);
  EXPECT_EQ(fields.at("text").string_value(), "été");
  ASSERT_THAT(fields.at("list").list_value().values(), SizeIs(3));
  EXPECT_EQ(fields.at("list").list_value().values(1).string_value(), "two");
  EXPECT_EQ(fields.at("list").list_value().values(2).kind_case(),
            Value::kListValue);
  EXPECT_EQ(fields.at("dict").struct_value().fields().at("a").kind_case(),
            Value::kStructValue);
}

TEST(MetadataToProtoTest, AnEmptyObjectHasNoFields) {
  Struct proto;
  ASSERT_OK(MetadataToProto("{}", &proto));
  EXPECT_THAT(proto.fields(), IsEmpty());
}

// However deep files are nested, clients can parse the checkpoint.
TEST(MetadataToProtoTest, WhatIsNestedTooDeepIsText) {
  for (const auto& [open, close] :
       {std::pair{R"({"k":)", "}"}, std::pair{"[", "]"}}) {
    for (const int depth : {29, 30, 200}) {
      std::string json = R"({"top":)";
      for (int i = 0; i < depth; ++i) json += open;
      json += "1";
      for (int i = 0; i < depth; ++i) json += close;
      json += "}";
      v1::Checkpoint checkpoint;
      ASSERT_OK(MetadataToProto(json, checkpoint.mutable_metadata()));
      v1::Checkpoint parsed;
      ASSERT_TRUE(parsed.ParseFromString(checkpoint.SerializeAsString()));
      EXPECT_EQ(depth >= kMaxMetadataDepth,
                checkpoint.ShortDebugString().find("string_value") !=
                    std::string::npos)
          << depth;
    }
  }
}

TEST(MetadataToProtoTest, OtherTextIsDataLoss) {
  for (const char* text : {"", "{", "[]", "1", "null", "{\"a\":1}}"}) {
    Struct proto;
    EXPECT_THAT(MetadataToProto(text, &proto),
                StatusIs(absl::StatusCode::kDataLoss))
        << text;
  }
}

}  // namespace
}  // namespace warmstart::rpc
