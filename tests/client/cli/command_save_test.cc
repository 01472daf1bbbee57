#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/cli/tool_fixture.h"
#include "tests/client/testing/test_files.h"

namespace warmstart::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

class SaveTest : public ToolTest {
 protected:
  SaveTest() {
    WriteFile(model_, "bytes of a model");
    response_.mutable_checkpoint()->set_name("checkpoints/c1");
    response_.mutable_checkpoint()->set_tensor_count(10);
    methods().save_model = [this](auto* reader, auto* response) {
      received_ = ReceiveUpload(*reader);
      *response = response_;
      return grpc::Status::OK;
    };
  }

  const std::string model_ = dir_.Join("model.pt");
  ReceivedUpload received_;
  v1::SaveModelResponse response_;
};

TEST_F(SaveTest, FileIsSentAndItsHandlePrinted) {
  const Ran ran = Run({"save", model_});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out, "saved checkpoints/c1: 10 tensors, 0 B\n");
  EXPECT_EQ(ran.err, "");
  ASSERT_THAT(received_.files, SizeIs(1));
  EXPECT_EQ(received_.files[0].header.name(), "model.pt");
  EXPECT_EQ(received_.files[0].bytes, "bytes of a model");
}

TEST_F(SaveTest, FlagsBecomeTheHeader) {
  const Ran ran = Run({"save", model_, "--architecture", "NetA", "--alias",
                       "prod", "--label", "a=1", "--label=b=2", "--seed", "0",
                       "--device", "cpu", "--request-id", "id"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  const v1::SaveModelHeader& header = received_.header;
  EXPECT_EQ(header.architecture(), "NetA");
  EXPECT_EQ(header.alias(), "prod");
  EXPECT_EQ(header.labels().at("a"), "1");
  EXPECT_EQ(header.labels().at("b"), "2");
  EXPECT_TRUE(header.has_seed());
  EXPECT_EQ(header.device(), "cpu");
  EXPECT_EQ(header.request_id(), "id");
}

TEST_F(SaveTest, AnExpirationBecomesTheHeaders) {
  EXPECT_EQ(Run({"save", model_, "--ttl", "7d"}).exit_code, 0);
  EXPECT_EQ(received_.header.ttl().seconds(), 7 * 86400);
  EXPECT_EQ(
      Run({"save", model_, "--expire-time", "2030-01-02T03:04:05Z"}).exit_code,
      0);
  EXPECT_EQ(received_.header.expire_time().seconds(), 1893553445);
  EXPECT_EQ(Run({"save", model_, "--ttl", "soon"}).exit_code, 2);
}

TEST_F(SaveTest, ArchitectureAloneAsksForAFreshModel) {
  EXPECT_EQ(Run({"save", "--architecture", "NetA"}).exit_code, 0);
  EXPECT_EQ(received_.header.architecture(), "NetA");
  EXPECT_FALSE(received_.header.has_seed());
  EXPECT_THAT(received_.files, SizeIs(0));
}

TEST_F(SaveTest, NothingToSaveIsAUsageError) {
  const Ran ran = Run({"save"});
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_THAT(ran.err, HasSubstr("nothing to save"));
}

TEST_F(SaveTest, QuietPrintsTheHandleAlone) {
  EXPECT_EQ(Run({"save", model_, "-q"}).out, "checkpoints/c1\n");
}

TEST_F(SaveTest, JsonIsTheResponse) {
  const nlohmann::json json =
      nlohmann::json::parse(Run({"save", model_, "--json"}).out);
  EXPECT_EQ(json["checkpoint"]["name"], "checkpoints/c1");
  EXPECT_FALSE(json.contains("report"));
}

TEST_F(SaveTest, WhatWasNotStoredIsListed) {
  v1::SkippedValue& skipped = *response_.add_skipped_values();
  skipped.set_path("hooks");
  skipped.set_reason("object of class foo.Bar");
  EXPECT_THAT(Run({"save", model_}).out,
              HasSubstr("\nNOT STORED  WHAT IT IS\n"
                        "hooks       object of class foo.Bar\n"));
}

TEST_F(SaveTest, ReportIsPrintedWhereThereIsOne) {
  EXPECT_THAT(Run({"save", model_}).out, Not(HasSubstr("loaded")));
  response_.mutable_report()->set_summary("<All keys matched successfully>");
  EXPECT_THAT(Run({"save", model_, "--architecture", "NetA"}).out,
              HasSubstr("<All keys matched successfully>"));
}

TEST_F(SaveTest, FileThatIsNotThereFails) {
  const Ran ran = Run({"save", dir_.Join("none.pt")});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, AllOf(HasSubstr("none.pt"),
                             HasSubstr("No such file or directory")));
}

}  // namespace
}  // namespace warmstart::client
