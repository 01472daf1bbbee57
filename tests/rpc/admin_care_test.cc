#include <google/protobuf/util/time_util.h>

#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/rpc/admin_service.h"
#include "tests/rpc/rpc_world.h"
#include "tests/service/files.h"

namespace warmstart::rpc {
namespace {

using google::protobuf::util::TimeUtil;
using service::FloatTensor;
using service::MakeSafetensors;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class AdminCareTest : public ::testing::Test {
 protected:
  // All messages of a scrub.
  std::vector<v1::ScrubStoreResponse> Scrub() {
    grpc::ClientContext context;
    const auto stream =
        rpc_.admin().ScrubStore(&context, v1::ScrubStoreRequest());
    std::vector<v1::ScrubStoreResponse> messages;
    for (v1::ScrubStoreResponse message; stream->Read(&message);) {
      messages.push_back(message);
    }
    const grpc::Status status = stream->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return messages;
  }
  v1::ListDamagedTensorsResponse ListDamaged() {
    grpc::ClientContext context;
    v1::ListDamagedTensorsResponse response;
    EXPECT_TRUE(rpc_.admin()
                    .ListDamagedTensors(
                        &context, v1::ListDamagedTensorsRequest(), &response)
                    .ok());
    return response;
  }
  v1::CheckStoreResponse Check() {
    grpc::ClientContext context;
    v1::CheckStoreResponse response;
    EXPECT_TRUE(rpc_.admin()
                    .CheckStore(&context, v1::CheckStoreRequest(), &response)
                    .ok());
    return response;
  }
  std::string Pack() { return rpc_.world().Packs().at(0); }
  void LosePack() { std::filesystem::remove(rpc_.world().PackPath(Pack())); }

  RpcWorld rpc_;
  const std::string handle_ =
      rpc_.MustSave(MakeSafetensors({FloatTensor("w", {40'000}, 1)}));
};

TEST_F(AdminCareTest, AScrubTellsItsProgressAndEndsWithItsResult) {
  const std::vector<v1::ScrubStoreResponse> messages = Scrub();
  ASSERT_GE(messages.size(), 2u);
  EXPECT_TRUE(messages.front().has_progress());
  EXPECT_EQ(messages.front().progress().tensor_count(), 1);
  EXPECT_EQ(messages.front().progress().size_bytes(), 160'000);
  for (size_t i = 0; i + 1 < messages.size(); ++i) {
    EXPECT_TRUE(messages[i].has_progress());
  }
  ASSERT_TRUE(messages.back().has_result());
  const v1::ScrubResult& result = messages.back().result();
  EXPECT_EQ(result.tensors_read(), 1);
  EXPECT_EQ(result.bytes_read(), 160'000);
  EXPECT_EQ(result.found_count(), 0);
  EXPECT_EQ(result.damage().tensor_count(), 0);
}

TEST_F(AdminCareTest, WhatIsLostIsNamed) {
  const std::string pack = Pack();
  LosePack();
  const v1::ScrubResult result = Scrub().back().result();
  EXPECT_EQ(result.found_count(), 1);
  ASSERT_THAT(result.damage().tensors(), SizeIs(1));
  const v1::DamagedTensor& tensor = result.damage().tensors(0);
  EXPECT_THAT(tensor.digest(), SizeIs(64));
  EXPECT_EQ(tensor.size_bytes(), 160'000);
  EXPECT_EQ(tensor.pack(), pack);
  EXPECT_GT(TimeUtil::TimestampToSeconds(tensor.damage_time()), 1'700'000'000);
  EXPECT_EQ(tensor.use_count(), 1);
  ASSERT_THAT(tensor.uses(), SizeIs(1));
  EXPECT_EQ(tensor.uses(0).checkpoint(), handle_);
  EXPECT_EQ(tensor.uses(0).key(), "w");
  EXPECT_EQ(ListDamaged().SerializeAsString(),
            result.damage().SerializeAsString());
}

TEST_F(AdminCareTest, AScrubThatIsCancelledEnds) {
  grpc::ClientContext context;
  const auto stream =
      rpc_.admin().ScrubStore(&context, v1::ScrubStoreRequest());
  context.TryCancel();
  for (v1::ScrubStoreResponse message; stream->Read(&message);) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_THAT(Scrub(), ::testing::Not(::testing::IsEmpty()));
}

TEST_F(AdminCareTest, ACheckCountsAndTellsWhatIsWrong) {
  v1::CheckStoreResponse result = Check();
  EXPECT_EQ(result.checkpoint_count(), 1);
  EXPECT_EQ(result.tensor_count(), 1);
  EXPECT_EQ(result.pack_count(), 1);
  EXPECT_EQ(result.finding_count(), 0);
  LosePack();
  result = Check();
  EXPECT_EQ(result.finding_count(), 1);
  EXPECT_THAT(result.findings(), ElementsAre(HasSubstr("is gone")));
}

}  // namespace
}  // namespace warmstart::rpc
