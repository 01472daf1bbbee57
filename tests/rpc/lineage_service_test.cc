#include "server/rpc/lineage_service.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/rpc/rpc_world.h"
#include "tests/service/files.h"

namespace warmstart::rpc {
namespace {

using service::FloatTensor;
using service::MakeSafetensors;
using service::RecipeTensors;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class LineageServiceTest : public ::testing::Test {
 protected:
  // A checkpoint of the recipe's network without its last layer, all keys below
  // "net.".
  std::string SavePartial(int seed = 0) {
    std::vector<service::Tensor> tensors = RecipeTensors(seed);
    tensors.resize(tensors.size() - 2);
    for (service::Tensor& tensor : tensors) tensor.key = "net." + tensor.key;
    return rpc_.MustSave(MakeSafetensors(tensors));
  }
  // NetB, from such ones.
  v1::WarmStartRequest RequestFor(const std::vector<std::string>& sources) {
    v1::WarmStartRequest request;
    request.set_architecture("NetB");
    for (const std::string& source : sources) {
      request.add_sources()->set_checkpoint(source);
    }
    request.add_key_rules()->set_strip_prefix("net.");
    return request;
  }
  std::string Start(const v1::WarmStartRequest& request) {
    grpc::ClientContext context;
    v1::WarmStartResponse response;
    const grpc::Status status =
        rpc_.initializer().WarmStart(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.checkpoint().name();
  }

  grpc::Status Get(const v1::GetLineageRequest& request,
                   v1::GetLineageResponse* response) {
    grpc::ClientContext context;
    return rpc_.lineage().GetLineage(&context, request, response);
  }
  grpc::Status Reproduce(const std::string& name,
                         std::vector<v1::ReproduceCheckpointResponse>* results,
                         bool direct = false) {
    grpc::ClientContext context;
    v1::ReproduceCheckpointRequest request;
    request.set_name(name);
    request.set_direct(direct);
    const auto stream = rpc_.lineage().ReproduceCheckpoint(&context, request);
    v1::ReproduceCheckpointResponse message;
    while (stream->Read(&message)) results->push_back(message);
    return stream->Finish();
  }
  // Of `request`'s checkpoint alone.
  v1::ReproduceCheckpointResponse ReproduceOne(
      const v1::WarmStartRequest& request) {
    std::vector<v1::ReproduceCheckpointResponse> results;
    const grpc::Status status =
        Reproduce(Start(request), &results, /*direct=*/true);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_THAT(results, SizeIs(1));
    return results.empty() ? v1::ReproduceCheckpointResponse() : results[0];
  }

  RpcWorld rpc_;
};

TEST_F(LineageServiceTest, TheStepsOfATensorLeadToTheUpload) {
  const std::string upload = SavePartial();
  const std::string start = Start(RequestFor({upload}));
  v1::GetLineageRequest request;
  request.set_name(start);
  request.add_keys("fc*.weight");
  v1::GetLineageResponse response;
  ASSERT_TRUE(Get(request, &response).ok());
  EXPECT_EQ(response.checkpoint(), start);
  ASSERT_EQ(response.tensors_size(), 3);
  const v1::TensorLineage& loaded = response.tensors(0);
  ASSERT_EQ(loaded.steps_size(), 2);
  EXPECT_EQ(loaded.steps(0).checkpoint(), start);
  EXPECT_EQ(loaded.steps(0).key(), "fc1.weight");
  EXPECT_EQ(loaded.steps(0).kind(), v1::LINEAGE_KIND_LOADED);
  EXPECT_EQ(loaded.steps(0).outcome(), v1::TARGET_OUTCOME_RENAMED);
  EXPECT_EQ(loaded.steps(0).dtype(), "float32");
  EXPECT_THAT(loaded.steps(0).shape(), ElementsAre(120, 400));
  EXPECT_THAT(loaded.steps(0).sources(), ElementsAre(1));
  EXPECT_THAT(loaded.steps(0).rules(), SizeIs(1));
  EXPECT_EQ(loaded.steps(1).checkpoint(), upload);
  EXPECT_EQ(loaded.steps(1).key(), "net.fc1.weight");
  EXPECT_EQ(loaded.steps(1).kind(), v1::LINEAGE_KIND_UPLOADED);
  const v1::LineageStep& fresh = response.tensors(2).steps(0);
  EXPECT_EQ(fresh.kind(), v1::LINEAGE_KIND_INITIALIZED);
  EXPECT_EQ(fresh.initializer(), "kaiming_uniform");

  ASSERT_EQ(response.checkpoints_size(), 2);
  const v1::LineageCheckpoint& first = response.checkpoints(0);
  EXPECT_EQ(first.name(), start);
  EXPECT_EQ(first.architecture(), "architectures/NetB");
  EXPECT_TRUE(first.has_create_time());
  EXPECT_EQ(fresh.seed(), first.origin().warm_start().seed());
  EXPECT_THAT(response.checkpoints(1).origin().upload().files(),
              ElementsAre("model.safetensors"));
}

TEST_F(LineageServiceTest, PagesFollowEachOther) {
  v1::GetLineageRequest request;
  request.set_name(SavePartial());
  request.set_page_size(5);
  std::vector<std::string> keys;
  do {
    v1::GetLineageResponse response;
    ASSERT_TRUE(Get(request, &response).ok());
    for (const v1::TensorLineage& tensor : response.tensors()) {
      keys.push_back(tensor.steps(0).key());
    }
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(keys, SizeIs(8));
}

TEST_F(LineageServiceTest, WhatCannotBeAskedIsRefusedByItsField) {
  v1::GetLineageRequest request;
  v1::GetLineageResponse response;
  EXPECT_EQ(FieldOf(Get(request, &response)), "name");
  request.set_name(SavePartial());
  request.set_page_size(-1);
  EXPECT_EQ(FieldOf(Get(request, &response)), "page_size");
  request.set_page_size(0);
  for (const char* token : {"x", "-1", "8"}) {
    request.set_page_token(token);
    EXPECT_EQ(FieldOf(Get(request, &response)), "page_token") << token;
  }
  std::vector<v1::ReproduceCheckpointResponse> results;
  EXPECT_EQ(FieldOf(Reproduce("NetA", &results)), "name");
  EXPECT_EQ(ReasonOf(Reproduce("checkpoints/none", &results)),
            "CHECKPOINT_NOT_FOUND");
}

TEST_F(LineageServiceTest, AChainIsMadeAgain) {
  const std::string upload = SavePartial();
  const std::string first = Start(RequestFor({upload}));
  const std::string second = Start(RequestFor({first}));
  std::vector<v1::ReproduceCheckpointResponse> results;
  ASSERT_TRUE(Reproduce(second, &results).ok());
  ASSERT_THAT(results, SizeIs(3));
  for (const v1::ReproduceCheckpointResponse& result : results) {
    EXPECT_EQ(result.verdict(), v1::REPRODUCTION_VERDICT_AGREES)
        << result.DebugString();
  }
  EXPECT_EQ(results[0].checkpoint(), second);
  EXPECT_EQ(results[0].key_count(), 10);
  EXPECT_THAT(results[0].origin().warm_start().sources(), ElementsAre(first));
  EXPECT_EQ(results[2].checkpoint(), upload);
}

// What is recorded is what was asked for: without it, each of these would be
// made otherwise.
TEST_F(LineageServiceTest, RequestsWithAllKindsOfFieldsAreMadeAgain) {
  const std::string one = SavePartial(1);
  const std::string two = SavePartial(2);
  std::vector<v1::WarmStartRequest> requests(6, RequestFor({one, two}));
  requests[1].mutable_combination()->mutable_weighted_average();
  requests[1].mutable_sources(1)->set_weight(3.25);
  requests[2].mutable_combination()->mutable_slerp()->set_t(0.3);
  requests[3].add_exclude("*fc1*");
  v1::InitializerOverride& override = *requests[3].add_initializers();
  override.set_keys("fc1.*");
  override.mutable_initializer()->mutable_normal()->set_std(0.123456789);
  requests[4].set_seed(99);
  requests[4].set_min_coverage(0.5);
  requests[4].set_device("cpu");
  (*requests[4].mutable_labels())["a"] = "b";
  requests[4].set_alias("some/alias");
  requests[4].set_request_id("an-id");
  requests[5].clear_key_rules();
  requests[5].set_key_matching(v1::KEY_MATCHING_AUTO);
  for (const v1::WarmStartRequest& request : requests) {
    const v1::ReproduceCheckpointResponse result = ReproduceOne(request);
    EXPECT_EQ(result.verdict(), v1::REPRODUCTION_VERDICT_AGREES)
        << request.DebugString() << result.DebugString();
  }
}

TEST_F(LineageServiceTest, AClientThatGoesAwayEndsIt) {
  const std::string start = Start(RequestFor({SavePartial()}));
  grpc::ClientContext context;
  v1::ReproduceCheckpointRequest request;
  request.set_name(start);
  const auto stream = rpc_.lineage().ReproduceCheckpoint(&context, request);
  context.TryCancel();
  v1::ReproduceCheckpointResponse message;
  while (stream->Read(&message)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(rpc_.StagingEmpties());
}

}  // namespace
}  // namespace warmstart::rpc
