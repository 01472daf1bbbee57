#include "server/rpc/recorded_request.h"

#include <optional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/rpc/request_translation.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::rpc {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::warmstart::testing::StatusIs;

v1::WarmStartRequest Plain() {
  v1::WarmStartRequest request;
  request.set_architecture("NetB");
  request.add_sources()->set_checkpoint("aliases/best");
  request.set_device("cpu");
  request.set_seed(7);
  request.set_alias("new");
  request.set_request_id("id");
  (*request.mutable_labels())["a"] = "b";
  return request;
}

TEST(RecordedRequestTest, WhatOtherRecordsTellIsNotRepeated) {
  EXPECT_EQ(RecordedText(Plain()), "");
}

TEST(RecordedRequestTest, TheRestComesBack) {
  v1::WarmStartRequest request = Plain();
  request.add_key_rules()->set_strip_prefix("module.");
  request.add_exclude("head.*");
  request.set_strict(true);
  request.set_min_coverage(0.1);
  request.mutable_sources(0)->set_subtree("model");
  request.add_sources()->set_checkpoint("checkpoints/b");
  request.mutable_sources(1)->set_weight(1.0 / 3);
  request.set_on_shape_mismatch(v1::SHAPE_MISMATCH_POLICY_SKIP);
  const std::optional<std::string> text = RecordedText(request);
  ASSERT_TRUE(text.has_value());
  EXPECT_THAT(*text, AllOf(HasSubstr("module."), Not(HasSubstr("best")),
                           Not(HasSubstr("NetB")), Not(HasSubstr("labels"))));
  ASSERT_OK_AND_ASSIGN(service::WarmStartRequest read, ReadRecorded(*text));
  ASSERT_OK_AND_ASSIGN(service::WarmStartRequest asked, FromProto(request));
  ASSERT_EQ(read.sources.size(), 2);
  read.architecture = asked.architecture;
  read.sources[0].checkpoint = asked.sources[0].checkpoint;
  read.sources[1].checkpoint = asked.sources[1].checkpoint;
  read.device = asked.device;
  read.seed = asked.seed;
  read.options = asked.options;
  EXPECT_EQ(FingerprintOf(read), FingerprintOf(asked));
}

TEST(RecordedRequestTest, NothingRecordedIsAPlainRequest) {
  ASSERT_OK_AND_ASSIGN(const service::WarmStartRequest request,
                       ReadRecorded(""));
  EXPECT_TRUE(request.sources.empty());
  EXPECT_FALSE(request.strict);
}

TEST(RecordedRequestTest, WhatIsTooLargeIsNotRecorded) {
  v1::WarmStartRequest request = Plain();
  request.add_exclude(std::string(3 * service::kMaxRecordedRequest, 'x'));
  EXPECT_EQ(RecordedText(request), std::nullopt);
}

TEST(RecordedRequestTest, OtherTextIsRefused) {
  for (const char* text :
       {"{", "[]", R"({"unheard_of":1})", R"({"onShapeMismatch":77})"}) {
    EXPECT_THAT(ReadRecorded(text),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
}

}  // namespace
}  // namespace warmstart::rpc
