#include "client/cli/json.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"
#include "warmstart/v1/checkpoints.pb.h"

namespace warmstart::client {
namespace {

using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

TEST(JsonTest, FieldsAreNamedAsInTheApiAndDefaultsArePrinted) {
  v1::Checkpoint checkpoint;
  checkpoint.set_name("checkpoints/c1");
  checkpoint.set_size_bytes(1);
  const std::string json = ToJson(checkpoint);
  EXPECT_THAT(json, HasSubstr("\"name\": \"checkpoints/c1\""));
  EXPECT_THAT(json, HasSubstr("\"size_bytes\": \"1\""));
  EXPECT_THAT(json, HasSubstr("\"tensor_count\": \"0\""));
  EXPECT_THAT(json, HasSubstr("\"aliases\": []"));
  EXPECT_EQ(json.back(), '\n');
}

TEST(JsonTest, WhatIsWrittenIsRead) {
  v1::Checkpoint checkpoint;
  checkpoint.set_name("größe \"x\"");
  (*checkpoint.mutable_labels())["a"] = "b";
  checkpoint.mutable_origin()->mutable_warm_start()->set_seed(~uint64_t{0});
  v1::Checkpoint read;
  ASSERT_OK(FromJson(ToJson(checkpoint), read));
  EXPECT_EQ(read.SerializeAsString(), checkpoint.SerializeAsString());
}

TEST(JsonTest, CamelCaseIsReadToo) {
  v1::Checkpoint checkpoint;
  ASSERT_OK(FromJson(R"({"tensorCount": 3})", checkpoint));
  EXPECT_EQ(checkpoint.tensor_count(), 3);
}

TEST(JsonTest, ErrorsHaveTheirPlace) {
  v1::Checkpoint checkpoint;
  EXPECT_THAT(FromJson("{\n\"name\" 1}", checkpoint),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("parse error at line 2, column 8")));
  EXPECT_THAT(FromJson("", checkpoint),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("line 1, column 1")));
  EXPECT_THAT(
      FromJson(R"({"tensor_count": "many"})", checkpoint),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("tensor_count")));
}

}  // namespace
}  // namespace warmstart::client
