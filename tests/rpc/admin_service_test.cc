#include "server/rpc/admin_service.h"

#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/rpc/rpc_world.h"
#include "tests/service/files.h"

namespace warmstart::rpc {
namespace {

using service::FloatTensor;
using service::MakeSafetensors;

class AdminServiceTest : public ::testing::Test {
 protected:
  // Saved, expired a moment later.
  std::string SaveExpired(int seed) {
    v1::SaveModelHeader header;
    header.mutable_ttl()->set_nanos(1);
    v1::SaveModelResponse response;
    const grpc::Status status = rpc_.Save(
        header,
        {{"w.safetensors", MakeSafetensors({FloatTensor("w", {4}, seed)})}},
        &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    absl::SleepFor(absl::Milliseconds(1));
    return response.checkpoint().name();
  }

  grpc::Status Apply(const v1::ApplyRetentionRequest& request,
                     v1::ApplyRetentionResponse* response) {
    grpc::ClientContext context;
    return rpc_.admin().ApplyRetention(&context, request, response);
  }

  RpcWorld rpc_;
};

TEST_F(AdminServiceTest, RetentionIsTriedAndApplied) {
  const std::string first = SaveExpired(1);
  const std::string second = SaveExpired(2);
  v1::ApplyRetentionRequest request;
  request.set_validate_only(true);
  request.set_max_count(1);
  v1::ApplyRetentionResponse response;
  ASSERT_TRUE(Apply(request, &response).ok());
  ASSERT_EQ(response.checkpoints_size(), 1);
  EXPECT_EQ(response.checkpoints(0).checkpoint(), first);
  EXPECT_TRUE(response.checkpoints(0).has_expire_time());
  EXPECT_TRUE(response.checkpoints(0).has_create_time());
  EXPECT_TRUE(response.has_more());

  request.Clear();
  response.Clear();
  ASSERT_TRUE(Apply(request, &response).ok());
  EXPECT_EQ(response.checkpoints_size(), 2);
  EXPECT_FALSE(response.has_more());
  response.Clear();
  ASSERT_TRUE(Apply(request, &response).ok());
  EXPECT_EQ(response.checkpoints_size(), 0);
}

TEST_F(AdminServiceTest, ANegativeCountIsRefused) {
  v1::ApplyRetentionRequest request;
  request.set_max_count(-1);
  v1::ApplyRetentionResponse response;
  const grpc::Status status = Apply(request, &response);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "max_count");
}

TEST_F(AdminServiceTest, TheServerTellsWhatItStores) {
  rpc_.MustSave(MakeSafetensors({FloatTensor("w", {4})}));
  grpc::ClientContext context;
  v1::ServerInfo info;
  ASSERT_TRUE(rpc_.information().GetServerInfo(&context, {}, &info).ok());
  EXPECT_EQ(info.store().stored_bytes(), 16);
  EXPECT_EQ(info.store().checkpoint_count(), 1);
  EXPECT_EQ(info.store().max_bytes(), 0);
}

}  // namespace
}  // namespace warmstart::rpc
