#include "server/rpc/server.h"

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/rpc/raw_call.h"
#include "tests/rpc/rpc_world.h"
#include "tests/service/files.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::rpc {
namespace {

using ::testing::HasSubstr;
using ::testing::Optional;
using ::warmstart::testing::StatusIs;

// HealthCheckRequest { string service = 1; }
std::string HealthRequest(const std::string& service) {
  if (service.empty()) return "";
  return absl::StrCat("\x0A", std::string(1, static_cast<char>(service.size())),
                      service);
}
// HealthCheckResponse { ServingStatus status = 1; }
constexpr char kServing[] = "\x08\x01";
constexpr char kNotServing[] = "\x08\x02";

constexpr char kCheck[] = "/grpc.health.v1.Health/Check";
constexpr char kWatch[] = "/grpc.health.v1.Health/Watch";
constexpr char kReflect[] =
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

// An upload that goes on for as long as the test likes.
class OpenUpload {
 public:
  explicit OpenUpload(RpcWorld& rpc)
      : stream_(rpc.initializer().SaveModel(&context_, &response_)) {
    v1::SaveModelRequest message;
    message.mutable_header();
    stream_->Write(message);
    message.mutable_file()->set_name("a.safetensors");
    stream_->Write(message);
    while (rpc.world().Staged().empty()) std::this_thread::yield();
  }

  grpc::Status Complete() {
    v1::SaveModelRequest message;
    message.set_chunk(service::MakeSafetensors(service::RecipeTensors()));
    stream_->Write(message);
    stream_->WritesDone();
    return stream_->Finish();
  }
  grpc::Status Finish() { return stream_->Finish(); }

 private:
  grpc::ClientContext context_;
  v1::SaveModelResponse response_;
  const std::unique_ptr<grpc::ClientWriter<v1::SaveModelRequest>> stream_;
};

TEST(RpcServerTest, AnAddressThatIsTakenIsUnavailable) {
  RpcWorld rpc;
  service::World world;
  const std::string address = absl::StrCat("localhost:", rpc.server().port());
  EXPECT_THAT(RpcServer::Start(world.context(), address),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr(address)));
}

TEST(RpcServerTest, WhatIsNoAddressIsUnavailable) {
  service::World world;
  for (const char* address : {"", "localhost", "no.such.host.invalid:0"}) {
    EXPECT_THAT(RpcServer::Start(world.context(), address),
                StatusIs(absl::StatusCode::kUnavailable))
        << address;
  }
}

TEST(RpcServerTest, TwoServersInOneProcessServeTheirOwnStores) {
  RpcWorld first;
  RpcWorld second;
  EXPECT_NE(first.server().port(), second.server().port());
  const std::string handle = first.MustSave(
      service::MakeSafetensors({service::FloatTensor("w", {2})}));
  for (RpcWorld* rpc : {&first, &second}) {
    grpc::ClientContext context;
    v1::GetCheckpointRequest request;
    request.set_name(handle);
    v1::Checkpoint response;
    EXPECT_EQ(
        rpc->checkpoints().GetCheckpoint(&context, request, &response).ok(),
        rpc == &first);
  }
}

TEST(RpcServerTest, HealthIsServingForTheServerAndEachService) {
  RpcWorld rpc;
  for (const char* service :
       {"", "warmstart.v1.ModelInitializer", "warmstart.v1.Checkpoints",
        "warmstart.v1.Architectures"}) {
    RawCall check(rpc.NewChannel(), kCheck);
    check.Send(HealthRequest(service));
    EXPECT_THAT(check.Receive(), Optional(std::string(kServing))) << service;
    EXPECT_TRUE(check.Finish().ok());
  }
  RawCall unknown(rpc.NewChannel(), kCheck);
  unknown.Send(HealthRequest("warmstart.v1.Nothing"));
  EXPECT_EQ(unknown.Receive(), std::nullopt);
  EXPECT_EQ(unknown.Finish().error_code(), grpc::NOT_FOUND);
}

TEST(RpcServerTest, ReflectionTellsTheServicesAndTheirFiles) {
  RpcWorld rpc;
  RawCall reflection(rpc.NewChannel(), kReflect);
  // ServerReflectionRequest { string list_services = 7; }
  reflection.Send(std::string("\x3A\x01*", 3));
  const std::optional<std::string> services = reflection.Receive();
  ASSERT_TRUE(services.has_value());
  for (const char* service :
       {"warmstart.v1.ModelInitializer", "warmstart.v1.Checkpoints",
        "warmstart.v1.Architectures", "grpc.health.v1.Health"}) {
    EXPECT_THAT(*services, HasSubstr(service));
  }
  // { string file_containing_symbol = 4; }
  const std::string symbol = "warmstart.v1.ModelInitializer";
  reflection.Send(absl::StrCat(
      "\x22", std::string(1, static_cast<char>(symbol.size())), symbol));
  const std::optional<std::string> file = reflection.Receive();
  ASSERT_TRUE(file.has_value());
  EXPECT_THAT(*file, HasSubstr("warmstart/v1/model_initializer.proto"));
  EXPECT_TRUE(reflection.Finish().ok());
}

TEST(RpcServerTest, AMethodThatIsNotThereIsUnimplemented) {
  RpcWorld rpc;
  RawCall call(rpc.NewChannel(), "/warmstart.v1.ModelInitializer/Backward");
  call.Send("");
  EXPECT_EQ(call.Receive(), std::nullopt);
  EXPECT_EQ(call.Finish().error_code(), grpc::UNIMPLEMENTED);
}

TEST(RpcServerTest, BytesThatAreNoMessageAreRefused) {
  RpcWorld rpc;
  RawCall call(rpc.NewChannel(), "/warmstart.v1.ModelInitializer/WarmStart");
  call.Send("\xFF\xFF\xFF");
  EXPECT_EQ(call.Receive(), std::nullopt);
  EXPECT_FALSE(call.Finish().ok());
  EXPECT_NE(
      rpc.MustSave(service::MakeSafetensors({service::FloatTensor("w", {2})})),
      "");
}

TEST(RpcServerShutdownTest, ARunningCallIsDrainedAndNewOnesAreRefused) {
  RpcWorld rpc;
  RawCall watch(rpc.NewChannel(), kWatch);
  watch.Send("");
  ASSERT_THAT(watch.Receive(), Optional(std::string(kServing)));
  OpenUpload upload(rpc);
  std::thread shutdown([&] { rpc.server().Shutdown(absl::Seconds(60)); });
  // From here on the server is shutting down.
  EXPECT_THAT(watch.Receive(), Optional(std::string(kNotServing)));
  watch.Cancel();
  grpc::Status refused;
  do {
    grpc::ClientContext context;
    v1::ListCheckpointsResponse response;
    refused = v1::Checkpoints::NewStub(rpc.NewChannel())
                  ->ListCheckpoints(&context, {}, &response);
  } while (refused.ok());  // it closes its port a moment later
  EXPECT_EQ(refused.error_code(), grpc::UNAVAILABLE);
  const grpc::Status status = upload.Complete();
  EXPECT_TRUE(status.ok()) << status.error_message();
  shutdown.join();
  EXPECT_EQ(rpc.world().num_checkpoints(), 1);
}

TEST(RpcServerShutdownTest, ACallThatDoesNotEndIsCancelledAfterTheGrace) {
  RpcWorld rpc;
  OpenUpload upload(rpc);
  const absl::Time start = absl::Now();
  rpc.server().Shutdown(absl::Milliseconds(300));
  const absl::Duration took = absl::Now() - start;
  EXPECT_GE(took, absl::Milliseconds(290));
  EXPECT_LT(took, absl::Seconds(30));
  EXPECT_FALSE(upload.Finish().ok());
  EXPECT_TRUE(rpc.world().Staged().empty());
  EXPECT_EQ(rpc.world().num_checkpoints(), 0);
}

// Load balancers watch for as long as the server runs, and tools keep their
// reflection stream: nobody should have to wait for them.
TEST(RpcServerShutdownTest, WhoOnlyWatchesIsNotWaitedFor) {
  RpcWorld rpc;
  RawCall watch(rpc.NewChannel(), kWatch);
  watch.Send("");
  ASSERT_THAT(watch.Receive(), Optional(std::string(kServing)));
  RawCall reflection(rpc.NewChannel(), kReflect);
  reflection.Send(std::string("\x3A\x01*", 3));
  ASSERT_TRUE(reflection.Receive().has_value());
  const absl::Time start = absl::Now();
  rpc.server().Shutdown(absl::Seconds(60));
  EXPECT_LT(absl::Now() - start, absl::Seconds(30));
}

TEST(RpcServerShutdownTest, ShuttingDownTwiceDoesNoHarm) {
  RpcWorld rpc;
  rpc.server().Shutdown(absl::Seconds(1));
  rpc.server().Shutdown(absl::Seconds(1));
}

}  // namespace
}  // namespace warmstart::rpc
