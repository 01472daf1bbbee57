#include "server/rpc/error_translation.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "server/model/utf8.h"
#include "tests/rpc/rpc_world.h"

namespace warmstart::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

constexpr size_t kPlenty = 1 << 20;

// As it travels: the message percent-encoded, the details in base64.
size_t WireBytes(const grpc::Status& status) {
  size_t bytes = (status.error_details().size() + 2) / 3 * 4;
  for (char c : status.error_message()) {
    bytes += c >= 0x20 && c <= 0x7E && c != '%' ? 1 : 3;
  }
  return bytes;
}

// With `keys` keys in each list.
v1::MatchReport ReportOf(int keys, const std::string& prefix = "layer.") {
  v1::MatchReport report;
  report.set_architecture("architectures/NetB");
  report.set_summary("Error(s) in loading state_dict for NetB:");
  report.mutable_coverage()->set_keys_total(3 * keys);
  for (int i = 0; i < keys; ++i) {
    report.add_missing_keys(absl::StrCat(prefix, i, ".weight"));
    report.add_unexpected_keys(absl::StrCat(prefix, i, ".bias"));
    report.add_mismatched_keys()->set_key(absl::StrCat(prefix, i, ".scale"));
    report.add_entries()->set_key(absl::StrCat(prefix, i, ".weight"));
  }
  return report;
}

absl::Status NotMet(const std::string& message) {
  return WithErrorInfo(absl::FailedPreconditionError(message),
                       reason::kStrictNotMet, {{"key", "fc3.bias"}});
}

TEST(ToGrpcStatusTest, OkIsOk) {
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus(), nullptr, kPlenty).ok());
}

TEST(ToGrpcStatusTest, EveryCodeKeepsItsNumber) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "why");
    const grpc::Status translated = ToGrpcStatus(status, nullptr, kPlenty);
    EXPECT_EQ(static_cast<int>(translated.error_code()), code);
    EXPECT_EQ(translated.error_message(), "why");
  }
}

TEST(ToGrpcStatusTest, DetailsHoldMessageReasonAndReport) {
  const v1::MatchReport report = ReportOf(2);
  const grpc::Status status =
      ToGrpcStatus(NotMet("Missing key(s)"), &report, kPlenty);
  const ErrorDetails details = DetailsOf(status);
  EXPECT_EQ(details.status.message(), "Missing key(s)");
  EXPECT_EQ(details.info.reason(), "STRICT_NOT_MET");
  EXPECT_EQ(details.info.domain(), "warmstart");
  EXPECT_THAT(details.info.metadata(),
              UnorderedElementsAre(Pair("key", "fc3.bias")));
  ASSERT_TRUE(details.report.has_value());
  EXPECT_EQ(details.report->SerializeAsString(), report.SerializeAsString());
}

TEST(ToGrpcStatusTest, AnErrorWithoutAReasonHasNoErrorInfo) {
  const ErrorDetails details =
      DetailsOf(ToGrpcStatus(absl::InternalError("x"), nullptr, kPlenty));
  EXPECT_THAT(details.status.details(), IsEmpty());
}

TEST(ToGrpcStatusTest, WhatIsNoUtf8IsEscaped) {
  const absl::Status status =
      WithErrorInfo(absl::InvalidArgumentError("key \xFF"),
                    reason::kInvalidFile, {{"key", "\xC3"}});
  const ErrorDetails details =
      DetailsOf(ToGrpcStatus(status, nullptr, kPlenty));
  EXPECT_EQ(details.status.message(), "key \\xff");
  EXPECT_EQ(details.info.metadata().at("key"), "\\xc3");
}

TEST(ToGrpcStatusTest, AReportThatIsTooLargeIsShortenedAndSaysSo) {
  const v1::MatchReport report = ReportOf(1000);
  const grpc::Status status =
      ToGrpcStatus(NotMet("short"), &report, kDefaultMaxErrorBytes);
  EXPECT_LE(WireBytes(status), kDefaultMaxErrorBytes);
  EXPECT_EQ(status.error_message(), "short");
  const ErrorDetails details = DetailsOf(status);
  ASSERT_TRUE(details.report.has_value());
  EXPECT_THAT(details.report->missing_keys(), SizeIs(20));
  EXPECT_THAT(details.report->unexpected_keys(), SizeIs(20));
  EXPECT_THAT(details.report->mismatched_keys(), SizeIs(20));
  EXPECT_THAT(details.report->entries(), IsEmpty());
  EXPECT_EQ(details.report->coverage().keys_total(), 3000);
  EXPECT_THAT(details.report->notes(),
              ElementsAre(HasSubstr("this report was cut")));
}

TEST(ToGrpcStatusTest, AReportOfLongKeysKeepsItsCoverageAlone) {
  const v1::MatchReport report = ReportOf(30, std::string(2000, 'k'));
  const grpc::Status status =
      ToGrpcStatus(NotMet("short"), &report, kDefaultMaxErrorBytes);
  EXPECT_LE(WireBytes(status), kDefaultMaxErrorBytes);
  const ErrorDetails details = DetailsOf(status);
  ASSERT_TRUE(details.report.has_value());
  EXPECT_THAT(details.report->missing_keys(), IsEmpty());
  EXPECT_EQ(details.report->coverage().keys_total(), 90);
}

TEST(ToGrpcStatusTest, AMessageThatIsTooLongIsCutAndSaysSo) {
  const grpc::Status status = ToGrpcStatus(NotMet(std::string(100'000, 'm')),
                                           nullptr, kDefaultMaxErrorBytes);
  EXPECT_LE(WireBytes(status), kDefaultMaxErrorBytes);
  EXPECT_THAT(status.error_message(), StartsWith("mmmm"));
  EXPECT_THAT(status.error_message(), EndsWith(" ... (cut)"));
  EXPECT_EQ(ReasonOf(status), "STRICT_NOT_MET");
  EXPECT_EQ(DetailsOf(status).status.message(), status.error_message());
}

// Wherever it is cut, the text stays UTF-8, and no more than allowed is sent.
TEST(ToGrpcStatusTest, NothingOfAnySizeIsMoreThanTheClientTakes) {
  for (const std::string& unit :
       {std::string("m"), std::string("\n\t"), std::string("%"),
        std::string("é"), std::string("重"), std::string("😀")}) {
    for (const int units : {1, 500, 1500, 2500, 5000, 50'000}) {
      std::string text;
      for (int i = 0; i < units; ++i) text += unit;
      for (int shift = 0; shift < 4; ++shift, text.insert(0, "x")) {
        const absl::Status status = WithErrorInfo(
            absl::InvalidArgumentError(text), reason::kInvalidField,
            {{"field", text}, {"key", text}, {"digest", text}});
        const v1::MatchReport report = ReportOf(units % 1000, unit);
        for (const v1::MatchReport* part :
             {static_cast<const v1::MatchReport*>(nullptr), &report}) {
          const grpc::Status translated =
              ToGrpcStatus(status, part, kDefaultMaxErrorBytes);
          ASSERT_LE(WireBytes(translated), kDefaultMaxErrorBytes);
          ASSERT_TRUE(IsUtf8(translated.error_message()));
          const ErrorDetails details = DetailsOf(translated);
          ASSERT_EQ(details.info.reason(), "INVALID_FIELD");
          for (const auto& [key, value] : details.info.metadata()) {
            ASSERT_TRUE(IsUtf8(value)) << key;
          }
          ASSERT_EQ(details.report.has_value(), part != nullptr);
        }
      }
    }
  }
}

TEST(ToGrpcStatusTest, WhoTakesMoreGetsAllOfIt) {
  const v1::MatchReport report = ReportOf(1000);
  const std::string message(20'000, 'm');
  const grpc::Status status = ToGrpcStatus(NotMet(message), &report, kPlenty);
  EXPECT_EQ(status.error_message(), message);
  EXPECT_THAT(DetailsOf(status).report->entries(), SizeIs(1000));
}

}  // namespace
}  // namespace warmstart::rpc
