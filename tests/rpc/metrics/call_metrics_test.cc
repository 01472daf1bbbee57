#include "server/rpc/metrics/call_metrics.h"

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/rpc/server.h"
#include "tests/rpc/metrics/families.h"
#include "tests/rpc/raw_call.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"
#include "warmstart/v1/checkpoints.grpc.pb.h"

namespace warmstart::rpc {
namespace {

using ::testing::Contains;
using ::testing::IsSupersetOf;
using ::testing::Pair;

class CallMetricsTest : public ::testing::Test {
 protected:
  CallMetricsTest() {
    server_ =
        RpcServer::Start(world_.context(), "localhost:0", &metrics_).value();
    channel_ = grpc::CreateChannel(absl::StrCat("localhost:", server_->port()),
                                   grpc::InsecureChannelCredentials());
    checkpoints_ = v1::Checkpoints::NewStub(channel_);
  }
  ~CallMetricsTest() override { Stop(); }

  // A call is counted when its answer leaves, which may be a moment after the
  // client has it.
  std::map<std::string, double> ValuesAfterAll() {
    Stop();
    return ValuesOf(metrics_);
  }

  void Stop() { server_->Shutdown(absl::Seconds(10)); }

  service::World world_;
  CallMetrics metrics_;
  std::unique_ptr<RpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Checkpoints::Stub> checkpoints_;
};

TEST_F(CallMetricsTest, CallsAreCountedByMethodAndCode) {
  for (const char* name :
       {"checkpoints/none", "checkpoints/none", "nonsense"}) {
    grpc::ClientContext context;
    v1::GetCheckpointRequest request;
    request.set_name(name);
    v1::Checkpoint response;
    EXPECT_FALSE(
        checkpoints_->GetCheckpoint(&context, request, &response).ok());
  }
  const std::string method =
      "grpc_method=GetCheckpoint,grpc_service=warmstart.v1.Checkpoints,"
      "grpc_type=unary}";
  EXPECT_THAT(
      ValuesAfterAll(),
      IsSupersetOf(std::map<std::string, double>{
          {absl::StrCat("grpc_server_started_total{", method), 3},
          {absl::StrCat("grpc_server_handled_total{grpc_code=NotFound,",
                        method),
           2},
          {absl::StrCat("grpc_server_handled_total{grpc_code=InvalidArgument,",
                        method),
           1},
          {absl::StrCat("grpc_server_handling_seconds{", method), 3}}));
}

TEST_F(CallMetricsTest, StreamsAreCounted) {
  const std::string handle = world_.MustSave(
      service::MakeSafetensors({service::FloatTensor("w", {40'000}, 1)}));
  grpc::ClientContext context;
  v1::DownloadCheckpointRequest request;
  request.set_name(handle);
  const auto stream = checkpoints_->DownloadCheckpoint(&context, request);
  v1::DownloadCheckpointResponse message;
  while (stream->Read(&message)) {
  }
  ASSERT_TRUE(stream->Finish().ok());
  EXPECT_THAT(ValuesAfterAll(),
              Contains(Pair("grpc_server_handled_total{grpc_code=OK,"
                            "grpc_method=DownloadCheckpoint,"
                            "grpc_service=warmstart.v1.Checkpoints,"
                            "grpc_type=server_stream}",
                            1)));
}

// Else a client could fill the server's memory with labels.
TEST_F(CallMetricsTest, UnknownMethodsMakeNoLabels) {
  for (const char* method : {"/a.B/C", "/d.E/F"}) {
    EXPECT_EQ(RawCall(channel_, method).Finish().error_code(),
              grpc::StatusCode::UNIMPLEMENTED);
  }
  for (const auto& [name, value] : ValuesAfterAll()) {
    EXPECT_THAT(name, ::testing::HasSubstr("grpc_method=unknown"));
  }
}

}  // namespace
}  // namespace warmstart::rpc
