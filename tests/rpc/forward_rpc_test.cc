// Forward, what it leaves on the device, and what the server tells of that.

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/rpc/rpc_world.h"
#include "tests/service/files.h"

namespace warmstart::rpc {
namespace {

using service::FloatTensor;
using service::MakeSafetensors;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ForwardTest : public ::testing::Test {
 protected:
  std::string Fresh(const std::string& architecture) {
    v1::SaveModelHeader header;
    header.set_architecture(architecture);
    v1::SaveModelResponse response;
    EXPECT_TRUE(rpc_.Save(header, {}, &response).ok());
    return response.checkpoint().name();
  }
  grpc::Status Forward(const v1::ForwardRequest& request) {
    grpc::ClientContext context;
    response_.Clear();
    return rpc_.initializer().Forward(&context, request, &response_);
  }
  v1::ServerInfo Info() {
    grpc::ClientContext context;
    v1::ServerInfo info;
    EXPECT_TRUE(rpc_.information().GetServerInfo(&context, {}, &info).ok());
    return info;
  }
  // The models that are resident on the CPU.
  v1::ResidentModels Resident() { return Info().devices(0).resident_models(); }

  static v1::ForwardRequest RandomImages(const std::string& checkpoint) {
    v1::ForwardRequest request;
    request.set_checkpoint(checkpoint);
    v1::RandomTensor* random = request.add_inputs()->mutable_random();
    for (const int64_t size : {2, 3, 32, 32}) random->add_shape(size);
    return request;
  }

  RpcWorld rpc_;
  v1::ForwardResponse response_;
};

TEST_F(ForwardTest, TheAnswerHasTheOutputsAndWhereTheyCameFrom) {
  const std::string handle = Fresh("NetA");
  const grpc::Status status = Forward(RandomImages(handle));
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response_.checkpoint(), handle);
  EXPECT_EQ(response_.architecture(), "architectures/NetA");
  EXPECT_EQ(response_.device(), "cpu");
  EXPECT_FALSE(response_.was_resident());
  ASSERT_THAT(response_.outputs(), SizeIs(1));
  EXPECT_EQ(response_.outputs(0).name(), "output");
  EXPECT_EQ(response_.outputs(0).tensor().dtype(), "float32");
  EXPECT_THAT(response_.outputs(0).tensor().shape(), ElementsAre(2, 10));
  EXPECT_THAT(response_.outputs(0).tensor().data(), SizeIs(80));
  EXPECT_THAT(response_.output_file(), IsEmpty());
}

TEST_F(ForwardTest, SentValuesAreTheInputs) {
  const std::string handle = Fresh("NetB");
  v1::ForwardRequest request;
  request.set_checkpoint(handle);
  v1::ForwardInput* input = request.add_inputs();
  input->set_name("input");
  for (const int64_t size : {1, 3, 32, 32}) {
    input->mutable_tensor()->add_shape(size);
  }
  const std::string images = FloatTensor("input", {1, 3, 32, 32}).bytes;
  input->mutable_tensor()->set_data(images);
  ASSERT_TRUE(Forward(request).ok());
  const std::string sent = response_.outputs(0).tensor().data();

  v1::ForwardRequest as_file;
  as_file.set_checkpoint(handle);
  as_file.set_input_file(
      MakeSafetensors({FloatTensor("input", {1, 3, 32, 32})}));
  ASSERT_TRUE(Forward(as_file).ok());
  EXPECT_EQ(response_.outputs(0).tensor().data(), sent);
  EXPECT_TRUE(response_.was_resident());
}

TEST_F(ForwardTest, WithAnOutputFormatTheOutputsAreAFileAlone) {
  v1::ForwardRequest request = RandomImages(Fresh("NetA"));
  request.set_output_format(v1::FILE_FORMAT_SAFETENSORS);
  ASSERT_TRUE(Forward(request).ok());
  EXPECT_THAT(response_.outputs(), IsEmpty());
  EXPECT_THAT(response_.output_file(), HasSubstr("\"output\""));
}

TEST_F(ForwardTest, WhatIsWrongWithAnInputIsNamed) {
  const std::string handle = Fresh("NetA");
  v1::ForwardRequest request;
  request.set_checkpoint(handle);
  v1::ForwardInput* input = request.add_inputs();
  EXPECT_EQ(FieldOf(Forward(request)), "inputs[0]");
  input->mutable_tensor()->set_dtype("floaty");
  EXPECT_EQ(FieldOf(Forward(request)), "inputs[0].tensor.dtype");
  input->mutable_random()->add_shape(-1);
  EXPECT_EQ(FieldOf(Forward(request)), "inputs[0].random.shape");
  request = RandomImages(handle);
  request.set_output_format(static_cast<v1::FileFormat>(77));
  EXPECT_EQ(FieldOf(Forward(request)), "output_format");
}

TEST_F(ForwardTest, TheServerTellsWhatItIsAndWhatIsResident) {
  const v1::ServerInfo info = Info();
  EXPECT_THAT(info.version(), HasSubstr("."));
  EXPECT_THAT(info.torch_version(), HasSubstr("."));
  EXPECT_GT(info.start_time().seconds(), 0);
  EXPECT_EQ(info.default_device(), "cpu");
  ASSERT_FALSE(info.devices().empty());
  EXPECT_EQ(info.cuda_problem().empty(), info.devices_size() > 1);
  const v1::DeviceInfo& cpu = info.devices(0);
  EXPECT_EQ(cpu.name(), "cpu");
  EXPECT_THAT(cpu.description(), HasSubstr("cores"));
  EXPECT_GT(cpu.memory_bytes(), cpu.free_memory_bytes());
  EXPECT_GT(cpu.free_memory_bytes(), 0);
  EXPECT_GT(cpu.resident_models().limit_bytes(), 0);

  const std::string handle = Fresh("NetA");
  ASSERT_TRUE(Forward(RandomImages(handle)).ok());
  ASSERT_TRUE(Forward(RandomImages(handle)).ok());
  const v1::ResidentModels resident = Resident();
  ASSERT_THAT(resident.models(), SizeIs(1));
  EXPECT_EQ(resident.models(0).checkpoint(), handle);
  EXPECT_EQ(resident.models(0).architecture(), "architectures/NetA");
  EXPECT_EQ(resident.models(0).use_count(), 0);
  EXPECT_EQ(resident.models(0).size_bytes(), resident.size_bytes());
  EXPECT_EQ(resident.hit_count(), 1);
  EXPECT_EQ(resident.miss_count(), 1);
}

TEST_F(ForwardTest, ADeletedCheckpointIsNotResident) {
  const std::string handle = Fresh("NetA");
  ASSERT_TRUE(Forward(RandomImages(handle)).ok());
  grpc::ClientContext context;
  v1::DeleteCheckpointRequest request;
  request.set_name(handle);
  google::protobuf::Empty empty;
  ASSERT_TRUE(
      rpc_.checkpoints().DeleteCheckpoint(&context, request, &empty).ok());
  EXPECT_THAT(Resident().models(), IsEmpty());
  EXPECT_EQ(Forward(RandomImages(handle)).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(ForwardTest, SeveralCheckpointsAreDownloadedAsOneFile) {
  v1::DownloadCheckpointRequest request;
  request.set_format(v1::FILE_FORMAT_SAFETENSORS);
  for (const char* key : {"modelA", "modelB"}) {
    v1::DownloadPart* part = request.add_parts();
    part->set_key(key);
    part->set_checkpoint(
        rpc_.MustSave(MakeSafetensors({FloatTensor(key, {2})})));
  }
  grpc::ClientContext context;
  const auto stream = rpc_.checkpoints().DownloadCheckpoint(&context, request);
  v1::DownloadCheckpointResponse first;
  ASSERT_TRUE(stream->Read(&first));
  EXPECT_THAT(first.part_checkpoints(),
              ElementsAre(request.parts(0).checkpoint(),
                          request.parts(1).checkpoint()));
  EXPECT_EQ(first.checkpoint(), "");
  EXPECT_EQ(first.file_size(), first.chunk().size());
  EXPECT_THAT(first.chunk(), HasSubstr("\"modelB.modelB\""));
  v1::DownloadCheckpointResponse more;
  while (stream->Read(&more)) EXPECT_THAT(more.part_checkpoints(), IsEmpty());
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ForwardTest, ANameAndPartsAreTooMuch) {
  v1::DownloadCheckpointRequest request;
  request.set_name("checkpoints/a");
  request.add_parts()->set_key("b");
  grpc::ClientContext context;
  const auto stream = rpc_.checkpoints().DownloadCheckpoint(&context, request);
  v1::DownloadCheckpointResponse message;
  EXPECT_FALSE(stream->Read(&message));
  EXPECT_EQ(FieldOf(stream->Finish()), "name");
}

}  // namespace
}  // namespace warmstart::rpc
