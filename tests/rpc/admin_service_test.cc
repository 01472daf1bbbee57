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
using ::testing::SizeIs;

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

  // A save that makes a pack.
  std::string SaveOne(int first) {
    return rpc_.MustSave(
        MakeSafetensors({FloatTensor("w", {200, 200}, first)}));
  }
  grpc::Status Collect(const v1::CollectGarbageRequest& request,
                       v1::CollectGarbageResponse* response) {
    grpc::ClientContext context;
    return rpc_.admin().CollectGarbage(&context, request, response);
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

TEST_F(AdminServiceTest, ADryRunTellsWhatACollectionDoes) {
  SaveOne(1);
  SaveOne(2);
  v1::CollectGarbageRequest request;
  request.set_dry_run(true);
  v1::CollectGarbageResponse told;
  ASSERT_TRUE(Collect(request, &told).ok());
  EXPECT_THAT(rpc_.world().Packs(), SizeIs(2));
  EXPECT_EQ(told.examined_pack_count(), 2);
  EXPECT_EQ(told.merged_pack_count(), 2);
  EXPECT_EQ(told.rewritten_pack_count(), 0);
  EXPECT_EQ(told.written_pack_count(), 1);
  EXPECT_EQ(told.live_bytes(), 320'000);
  EXPECT_EQ(told.written_bytes(), 320'000);
  EXPECT_EQ(told.removed_bytes(), told.examined_bytes());
  EXPECT_EQ(told.freed_bytes(), told.examined_bytes() - 320'000);
  EXPECT_GT(told.catalog_bytes(), told.catalog_free_bytes());
  ASSERT_EQ(told.packs_size(), 2);
  EXPECT_EQ(told.packs(0).fate(), v1::PACK_FATE_MERGED);
  EXPECT_EQ(told.packs(0).live_bytes(), 160'000);
  EXPECT_GT(told.packs(0).size_bytes(), 160'000);
  EXPECT_THAT(rpc_.world().Packs(), ::testing::Contains(told.packs(0).name()));

  request.set_dry_run(false);
  v1::CollectGarbageResponse done;
  ASSERT_TRUE(Collect(request, &done).ok());
  EXPECT_THAT(rpc_.world().Packs(), SizeIs(1));
  EXPECT_EQ(done.SerializeAsString(), told.SerializeAsString());
}

TEST_F(AdminServiceTest, ThresholdsAreTaken) {
  SaveOne(1);
  SaveOne(2);
  v1::CollectGarbageRequest request;
  request.set_merge_below_bytes(0);
  request.set_min_live_share(1);
  request.set_max_written_bytes(200'000);
  v1::CollectGarbageResponse response;
  ASSERT_TRUE(Collect(request, &response).ok());
  EXPECT_EQ(response.rewritten_pack_count(), 1);
  EXPECT_EQ(response.over_budget_pack_count(), 1);
}

TEST_F(AdminServiceTest, AThresholdThatMakesNoSenseIsRefused) {
  v1::CollectGarbageRequest request;
  request.set_min_live_share(2);
  v1::CollectGarbageResponse response;
  const grpc::Status status = Collect(request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "min_live_share");
}

}  // namespace
}  // namespace warmstart::rpc
