#include "tests/bench/load_client.h"

#include <grpc/grpc.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"

namespace warmstart::bench {
namespace {

struct Tensor {
  absl::string_view key;
  std::vector<int64_t> shape;
};

// NetA's, and NetB's.
const std::vector<Tensor>& Tensors() {
  static const auto& tensors = *new std::vector<Tensor>{
      {"conv1.weight", {6, 3, 5, 5}},  {"conv1.bias", {6}},
      {"conv2.weight", {16, 6, 5, 5}}, {"conv2.bias", {16}},
      {"fc1.weight", {120, 400}},      {"fc1.bias", {120}},
      {"fc2.weight", {84, 120}},       {"fc2.bias", {84}},
      {"fc3.weight", {10, 84}},        {"fc3.bias", {10}},
  };
  return tensors;
}

int64_t NumBytes(const Tensor& tensor) {
  int64_t num_bytes = sizeof(float);
  for (const int64_t size : tensor.shape) num_bytes *= size;
  return num_bytes;
}

// What a .safetensors file has before the tensors.
std::string SafetensorsHeader() {
  std::vector<std::string> members;
  int64_t end = 0;
  for (const Tensor& tensor : Tensors()) {
    const int64_t begin = end;
    end += NumBytes(tensor);
    members.push_back(
        absl::StrCat("\"", tensor.key, "\":{\"dtype\":\"F32\",\"shape\":[",
                     absl::StrJoin(tensor.shape, ","), "],\"data_offsets\":[",
                     begin, ",", end, "]}"));
  }
  const std::string json = absl::StrCat("{", absl::StrJoin(members, ","), "}");
  const uint64_t size = json.size();
  std::string header(sizeof(size), '\0');
  std::memcpy(header.data(), &size, sizeof(size));
  return header + json;
}

size_t TensorBytes() {
  int64_t num_bytes = 0;
  for (const Tensor& tensor : Tensors()) num_bytes += NumBytes(tensor);
  return num_bytes;
}

absl::Status ToStatus(const grpc::Status& status) {
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      status.error_message());
}

absl::Status Wrong(absl::string_view what) {
  return absl::InternalError(absl::StrCat("a wrong answer: ", what));
}

void SetTimeout(grpc::ClientContext& context, absl::Duration timeout) {
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
}

}  // namespace

absl::string_view StepName(Step step) {
  switch (step) {
    case Step::kSave:
      return "save";
    case Step::kWarmStart:
      return "warm-start";
    case Step::kGet:
      return "get";
    case Step::kList:
      return "list";
    case Step::kDownload:
      return "download";
    case Step::kDelete:
      return "delete";
  }
  return "";
}

std::optional<Step> FindStep(absl::string_view name) {
  for (const Step step : kAllSteps) {
    if (StepName(step) == name) return step;
  }
  return std::nullopt;
}

LoadClient::LoadClient(const std::string& server, uint64_t seed,
                       absl::Duration timeout)
    : timeout_(timeout), state_(seed) {
  grpc::ChannelArguments arguments;
  // Channels of a process that ask for the same would share a connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const std::shared_ptr<grpc::Channel> channel = grpc::CreateCustomChannel(
      server, grpc::InsecureChannelCredentials(), arguments);
  model_initializer_ = v1::ModelInitializer::NewStub(channel);
  checkpoints_ = v1::Checkpoints::NewStub(channel);
}

absl::Status LoadClient::Run(Step step) {
  switch (step) {
    case Step::kSave:
      return Save();
    case Step::kWarmStart:
      return WarmStart();
    case Step::kGet:
      return Get();
    case Step::kList:
      return List();
    case Step::kDownload:
      return Download();
    case Step::kDelete:
      return Delete();
  }
  return absl::InvalidArgumentError("no step");
}

absl::Status LoadClient::Save() {
  tensors_.resize(TensorBytes());
  for (size_t i = 0; i < tensors_.size(); i += sizeof(float)) {
    // Knuth's MMIX. Its high bits, as a float below 1.
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    const float value = static_cast<float>(state_ >> 40) / (1 << 24);
    std::memcpy(&tensors_[i], &value, sizeof(value));
  }
  grpc::ClientContext context;
  SetTimeout(context, timeout_);
  v1::SaveModelResponse response;
  const auto stream = model_initializer_->SaveModel(&context, &response);
  v1::SaveModelRequest message;
  message.mutable_header()->set_architecture("NetA");
  stream->Write(message);
  message.mutable_file()->set_name("net_a.safetensors");
  stream->Write(message);
  message.set_chunk(SafetensorsHeader() + tensors_);
  stream->Write(message);
  stream->WritesDone();
  absl::Status status = ToStatus(stream->Finish());
  if (!status.ok()) return status;
  saved_ = response.checkpoint().name();
  if (response.checkpoint().size_bytes() ==
      static_cast<int64_t>(tensors_.size())) {
    return absl::OkStatus();
  }
  return Wrong("the checkpoint has another size");
}

absl::Status LoadClient::WarmStart() {
  grpc::ClientContext context;
  SetTimeout(context, timeout_);
  v1::WarmStartRequest request;
  request.set_architecture("NetB");
  request.add_sources()->set_checkpoint(saved_);
  v1::WarmStartResponse response;
  absl::Status status =
      ToStatus(model_initializer_->WarmStart(&context, request, &response));
  if (!status.ok()) return status;
  started_ = response.checkpoint().name();
  if (response.report().summary() == "<All keys matched successfully>") {
    return absl::OkStatus();
  }
  return Wrong(response.report().summary());
}

absl::Status LoadClient::Get() {
  grpc::ClientContext context;
  SetTimeout(context, timeout_);
  v1::GetCheckpointRequest request;
  request.set_name(started_);
  v1::Checkpoint response;
  absl::Status status =
      ToStatus(checkpoints_->GetCheckpoint(&context, request, &response));
  if (!status.ok()) return status;
  const auto& sources = response.origin().warm_start().sources();
  if (response.name() == started_ && sources.size() == 1 &&
      sources[0] == saved_) {
    return absl::OkStatus();
  }
  return Wrong("another checkpoint, or one of another source");
}

absl::Status LoadClient::List() {
  grpc::ClientContext context;
  SetTimeout(context, timeout_);
  v1::ListCheckpointsRequest request;
  v1::ListCheckpointsResponse response;
  absl::Status status =
      ToStatus(checkpoints_->ListCheckpoints(&context, request, &response));
  if (!status.ok()) return status;
  if (response.checkpoints_size() >= 2) return absl::OkStatus();
  return Wrong("a list without the checkpoints that were made");
}

absl::Status LoadClient::Download() {
  grpc::ClientContext context;
  SetTimeout(context, timeout_);
  v1::DownloadCheckpointRequest request;
  request.set_name(started_);
  request.set_format(v1::FILE_FORMAT_SAFETENSORS);
  const auto stream = checkpoints_->DownloadCheckpoint(&context, request);
  std::string file;
  v1::DownloadCheckpointResponse message;
  while (stream->Read(&message)) file += message.chunk();
  absl::Status status = ToStatus(stream->Finish());
  if (!status.ok()) return status;
  // Tensors of one dtype stand in their order at the end of the file.
  if (file.size() > tensors_.size() &&
      file.compare(file.size() - tensors_.size(), tensors_.size(), tensors_) ==
          0) {
    return absl::OkStatus();
  }
  return Wrong("a file of other tensors");
}

absl::Status LoadClient::Delete() {
  absl::Status status = DeleteOne(saved_);
  status.Update(DeleteOne(started_));
  return status;
}

absl::Status LoadClient::DeleteOne(std::string& name) {
  if (name.empty()) return absl::OkStatus();
  grpc::ClientContext context;
  SetTimeout(context, timeout_);
  v1::DeleteCheckpointRequest request;
  request.set_name(std::exchange(name, ""));
  google::protobuf::Empty response;
  return ToStatus(checkpoints_->DeleteCheckpoint(&context, request, &response));
}

}  // namespace warmstart::bench
