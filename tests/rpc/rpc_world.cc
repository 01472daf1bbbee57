#include "tests/rpc/rpc_world.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace warmstart::rpc {
namespace {

constexpr size_t kChunkBytes = 64 * 1024;

}  // namespace

RpcWorld::RpcWorld() {
  absl::StatusOr<std::unique_ptr<RpcServer>> server =
      RpcServer::Start(world_.context(), "localhost:0");
  if (!server.ok()) {
    std::fprintf(stderr, "%s\n", server.status().ToString().c_str());
    std::abort();
  }
  server_ = *std::move(server);
  const std::shared_ptr<grpc::Channel> channel = NewChannel();
  initializer_ = v1::ModelInitializer::NewStub(channel);
  checkpoints_ = v1::Checkpoints::NewStub(channel);
  architectures_ = v1::Architectures::NewStub(channel);
  information_ = v1::ServerInformation::NewStub(channel);
  lineage_ = v1::Lineage::NewStub(channel);
  uploads_ = v1::Uploads::NewStub(channel);
  admin_ = v1::Admin::NewStub(channel);
}

std::shared_ptr<grpc::Channel> RpcWorld::NewChannel(
    const grpc::ChannelArguments& arguments) {
  grpc::ChannelArguments own = arguments;
  own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(absl::StrCat("localhost:", server_->port()),
                                   grpc::InsecureChannelCredentials(), own);
}

grpc::Status RpcWorld::Save(const v1::SaveModelHeader& header,
                            const std::vector<service::NamedFile>& files,
                            v1::SaveModelResponse* response) {
  grpc::ClientContext context;
  const auto stream = initializer_->SaveModel(&context, response);
  v1::SaveModelRequest message;
  *message.mutable_header() = header;
  stream->Write(message);
  for (const auto& [name, bytes] : files) {
    message.mutable_file()->set_name(name);
    message.mutable_file()->set_size(bytes.size());
    stream->Write(message);
    for (size_t at = 0; at < bytes.size(); at += kChunkBytes) {
      message.set_chunk(bytes.substr(at, kChunkBytes));
      stream->Write(message);
    }
  }
  stream->WritesDone();
  return stream->Finish();
}

std::string RpcWorld::MustSave(const std::string& file) {
  v1::SaveModelResponse response;
  const grpc::Status status =
      Save({}, {{"model.safetensors", file}}, &response);
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.error_message().c_str());
    std::abort();
  }
  return response.checkpoint().name();
}

bool RpcWorld::StagingEmpties() {
  for (int i = 0; i < 1000; ++i) {
    if (world_.Staged().empty()) return true;
    absl::SleepFor(absl::Milliseconds(10));
  }
  return false;
}

ErrorDetails DetailsOf(const grpc::Status& status) {
  ErrorDetails details;
  EXPECT_TRUE(details.status.ParseFromString(status.error_details()));
  EXPECT_EQ(details.status.code(), status.error_code());
  for (const google::protobuf::Any& any : details.status.details()) {
    v1::MatchReport report;
    if (any.UnpackTo(&report)) {
      details.report = report;
    } else {
      EXPECT_TRUE(any.UnpackTo(&details.info)) << any.type_url();
      EXPECT_EQ(details.info.domain(), "warmstart");
    }
  }
  return details;
}

std::string ReasonOf(const grpc::Status& status) {
  return DetailsOf(status).info.reason();
}

std::string FieldOf(const grpc::Status& status) {
  const ErrorDetails details = DetailsOf(status);
  const auto found = details.info.metadata().find("field");
  return found == details.info.metadata().end() ? "" : found->second;
}

}  // namespace warmstart::rpc
