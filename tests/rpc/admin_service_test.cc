#include "server/rpc/admin_service.h"

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
