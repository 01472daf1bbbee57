#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/cli/tool_fixture.h"

namespace warmstart::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AdminScrubCommandTest : public ToolTest {
 protected:
  AdminScrubCommandTest() {
    result_.set_tensors_read(12);
    result_.set_bytes_read(2048);
    methods().scrub_store = [this](const auto&, auto* writer) {
      v1::ScrubStoreResponse message;
      message.mutable_progress();
      writer->Write(message);
      *message.mutable_result() = result_;
      writer->Write(message);
      return grpc::Status::OK;
    };
    methods().list_damaged_tensors = [this](const auto&, auto* response) {
      *response = result_.damage();
      return grpc::Status::OK;
    };
  }

  // One tensor, which two checkpoints need.
  void Damage() {
    result_.set_found_count(1);
    v1::ListDamagedTensorsResponse* damage = result_.mutable_damage();
    damage->set_tensor_count(1);
    damage->set_size_bytes(1024);
    v1::DamagedTensor* tensor = damage->add_tensors();
    tensor->set_digest("0123456789abcdef0123");
    tensor->set_size_bytes(1024);
    tensor->set_pack("5f0c");
    tensor->set_offset(64);
    tensor->set_use_count(2);
    for (const char* checkpoint : {"checkpoints/c2", "checkpoints/c1"}) {
      v1::TensorUse* use = tensor->add_uses();
      use->set_checkpoint(checkpoint);
      use->set_key("fc.weight");
    }
  }

  v1::ScrubResult result_;
};

TEST_F(AdminScrubCommandTest, AnIntactStoreIsALine) {
  const Ran ran = Run({"admin", "scrub"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out, "read 12 tensors, 2.0 KiB: all intact\n");
  EXPECT_THAT(ran.err, IsEmpty());
}

TEST_F(AdminScrubCommandTest, DamageIsListedAndTheExitCodeTellsOfIt) {
  Damage();
  const Ran ran = Run({"admin", "scrub"});
  EXPECT_EQ(ran.exit_code, 4);
  EXPECT_THAT(ran.out,
              AllOf(HasSubstr("read 12 tensors, 2.0 KiB: 1 damaged, 1 of them "
                              "found now\n"),
                    HasSubstr("0123456789abcdef "), HasSubstr("1.0 KiB"),
                    HasSubstr("packs/5f0c + 64"),
                    HasSubstr("checkpoints/c2  fc.weight"),
                    HasSubstr("checkpoints/c1  fc.weight")));
  EXPECT_THAT(ran.err, HasSubstr("1 tensor (1.0 KiB) damaged or gone"));
}

TEST_F(AdminScrubCommandTest, WhatIsIntactAgainIsTold) {
  result_.set_cleared_count(3);
  EXPECT_EQ(Run({"admin", "scrub"}).out,
            "read 12 tensors, 2.0 KiB: all intact; 3 intact again\n");
}

TEST_F(AdminScrubCommandTest, WhatIsLeftOutIsCounted) {
  Damage();
  result_.mutable_damage()->set_tensor_count(1001);
  result_.mutable_damage()->mutable_tensors(0)->set_use_count(1202);
  EXPECT_THAT(Run({"admin", "scrub"}).out,
              AllOf(HasSubstr("and 1,200 more\n"),
                    HasSubstr("and 1,000 more tensors\n")));
}

TEST_F(AdminScrubCommandTest, ListReadsNothing) {
  methods().scrub_store = nullptr;
  Ran ran = Run({"admin", "scrub", "--list"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out, "no tensor is known to be damaged\n");
  Damage();
  ran = Run({"admin", "scrub", "--list"});
  EXPECT_EQ(ran.exit_code, 4);
  EXPECT_THAT(ran.out, HasSubstr("checkpoints/c1  fc.weight"));
}

TEST_F(AdminScrubCommandTest, JsonIsTheMessage) {
  Damage();
  Ran ran = Run({"admin", "scrub", "--json"});
  EXPECT_EQ(ran.exit_code, 4);
  EXPECT_EQ(nlohmann::json::parse(ran.out)["damage"]["tensors"][0]["pack"],
            "5f0c");
  EXPECT_EQ(nlohmann::json::parse(ran.err)["reason"], "UNSOUND");
  ran = Run({"admin", "scrub", "--list", "--json"});
  EXPECT_EQ(nlohmann::json::parse(ran.out)["tensors"][0]["uses"][1]["key"],
            "fc.weight");
}

TEST_F(AdminScrubCommandTest, ARequestThatFailsIsNoVerdict) {
  methods().scrub_store = [](const auto&, auto*) {
    return FailureWithDetails(grpc::StatusCode::INTERNAL, "no disk", "");
  };
  const Ran ran = Run({"admin", "scrub"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("no disk"));
}

}  // namespace
}  // namespace warmstart::client
