#include "server/service/request_checks.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

TEST(RequestChecksTest, LabelsAtTheLimitsAreTaken) {
  store::Labels labels;
  for (int i = 0; i < 61; ++i) labels[absl::StrCat("key", i)] = "";
  labels[std::string(63, 'k')] = std::string(256, 'v');
  labels["a.b_c-d/E9"] = "réseau";
  labels["z"] = "";
  ASSERT_EQ(labels.size(), 64);
  EXPECT_OK(CheckLabels(labels));
}

TEST(RequestChecksTest, LabelsBeyondTheLimitsAreRefused) {
  store::Labels many;
  for (int i = 0; i < 65; ++i) many[absl::StrCat("key", i)] = "";
  const store::Labels refused[] = {
      many,
      {{"", "value"}},
      {{std::string(64, 'k'), ""}},
      {{"white space", ""}},
      {{"schlüssel", ""}},
      {{"key", std::string(257, 'v')}},
      {{"key", "\xFF"}},
  };
  for (const store::Labels& labels : refused) {
    const absl::Status status = CheckLabels(labels);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument,
                                 HasSubstr("labels")));
    EXPECT_EQ(ReasonOf(status), "INVALID_FIELD");
  }
}

TEST(RequestChecksTest, RequestIdsArePrintableAndShort) {
  EXPECT_OK(CheckRequestId(""));
  EXPECT_OK(CheckRequestId(std::string(128, '~')));
  EXPECT_OK(CheckRequestId("9f1c6b1e-5a0e-4d86-9f0b-0c1a4d1e5b7a"));
  for (const std::string& id :
       {std::string(129, 'x'), std::string("a b"), std::string("a\n"),
        std::string("é"), std::string("\0", 1)}) {
    const absl::Status status = CheckRequestId(id);
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_EQ(FieldOf(status), "request_id");
  }
}

TEST(RequestChecksTest, TheAliasIsParsed) {
  CheckpointOptions options;
  ASSERT_OK_AND_ASSIGN(std::optional<AliasName> alias, CheckOptions(options));
  EXPECT_EQ(alias, std::nullopt);
  for (const char* name : {"resnet/prod", "aliases/resnet/prod"}) {
    options.alias = name;
    ASSERT_OK_AND_ASSIGN(alias, CheckOptions(options));
    ASSERT_TRUE(alias.has_value());
    EXPECT_EQ(alias->id(), "resnet/prod");
  }
}

TEST(RequestChecksTest, EachOptionIsChecked) {
  CheckpointOptions options;
  options.alias = "../up";
  EXPECT_EQ(FieldOf(CheckOptions(options).status()), "alias");
  options = {};
  options.request_id = " ";
  EXPECT_EQ(FieldOf(CheckOptions(options).status()), "request_id");
  options = {};
  options.labels = {{" ", ""}};
  EXPECT_EQ(FieldOf(CheckOptions(options).status()), "labels");
}

TEST(FingerprintTest, EqualFieldsGiveEqualDigests) {
  const store::Labels labels = {{"a", "b"}};
  EXPECT_EQ(Fingerprint().Add("x").Add(labels).Finish(),
            Fingerprint().Add("x").Add(labels).Finish());
}

TEST(FingerprintTest, WhereAFieldEndsMatters) {
  EXPECT_NE(Fingerprint().Add("ab").Add("").Finish(),
            Fingerprint().Add("a").Add("b").Finish());
  EXPECT_NE(Fingerprint().Add("a").Finish(),
            Fingerprint().Add("a").Add("").Finish());
  EXPECT_NE(Fingerprint().Add("1:a").Finish(),
            Fingerprint().Add("1").Add("a").Finish());
  const store::Labels labels = {{"a", "b"}};
  EXPECT_NE(Fingerprint().Add(labels).Finish(),
            Fingerprint().Add("a").Add("b").Finish());
}

}  // namespace
}  // namespace warmstart::service
