// FindMissingTensors, and the saves by manifest that it is for, over the wire.

#include <memory>
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
using service::Tensor;
using ::testing::ElementsAre;

class FindMissingTensorsTest : public ::testing::Test {
 protected:
  grpc::Status FindMissing(const std::vector<std::string>& digests) {
    grpc::ClientContext context;
    v1::FindMissingTensorsRequest request;
    request.mutable_digests()->Assign(digests.begin(), digests.end());
    return rpc_.uploads().FindMissingTensors(&context, request, &missing_);
  }

  // A save by the manifest that GetManifest gave, in pages, and no file.
  grpc::Status SaveAgain(const std::string& handle, int page_size) {
    grpc::ClientContext context;
    const auto stream = rpc_.initializer().SaveModel(&context, &saved_);
    v1::SaveModelRequest message;
    message.mutable_header();
    stream->Write(message);
    v1::GetManifestRequest request;
    request.set_name(handle);
    request.set_page_size(page_size);
    request.set_view(v1::CHECKPOINT_VIEW_FULL);
    do {
      grpc::ClientContext page_context;
      if (!rpc_.checkpoints()
               .GetManifest(&page_context, request, message.mutable_manifest())
               .ok()) {
        break;
      }
      request.set_page_token(message.manifest().next_page_token());
      stream->Write(message);
    } while (!request.page_token().empty());
    stream->WritesDone();
    return stream->Finish();
  }

  RpcWorld rpc_;
  v1::FindMissingTensorsResponse missing_;
  v1::SaveModelResponse saved_;
};

TEST_F(FindMissingTensorsTest, WhatIsMissingIsTold) {
  const Tensor tensor = FloatTensor("w", {30});
  rpc_.MustSave(MakeSafetensors({tensor}));
  const std::string stored = Digest::Of(tensor.bytes).ToHex();
  const std::string absent = Digest::Of("absent").ToHex();
  ASSERT_TRUE(FindMissing({stored, absent}).ok());
  EXPECT_THAT(missing_.missing(), ElementsAre(absent));
}

TEST_F(FindMissingTensorsTest, ADigestThatIsNoneIsRefused) {
  EXPECT_EQ(FieldOf(FindMissing({"12"})), "digests[0]");
  EXPECT_EQ(FieldOf(FindMissing(
                std::vector<std::string>(10001, Digest::Of("").ToHex()))),
            "digests");
}

TEST_F(FindMissingTensorsTest, WhatGetManifestAnswersCanBeSaved) {
  const std::string file = service::MakeTorchFile(service::RecipeTensors());
  v1::SaveModelResponse first;
  ASSERT_TRUE(rpc_.Save({}, {{"a.pt", file}}, &first).ok());
  const std::string handle = first.checkpoint().name();
  for (const int page_size : {0, 3}) {
    const grpc::Status status = SaveAgain(handle, page_size);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(rpc_.world().ManifestOf(saved_.checkpoint().name()),
              rpc_.world().ManifestOf(handle));
    EXPECT_TRUE(saved_.checkpoint().origin().upload().has_delta());
    EXPECT_EQ(saved_.checkpoint().origin().upload().delta().size_bytes(), 0);
  }
}

TEST_F(FindMissingTensorsTest, AManifestThatIsTooLargeIsRefused) {
  grpc::ClientContext context;
  const auto stream = rpc_.initializer().SaveModel(&context, &saved_);
  v1::SaveModelRequest message;
  message.mutable_header();
  stream->Write(message);
  message.mutable_manifest()->set_metadata_json(
      std::string(size_t{24} << 20, ' '));
  for (int i = 0; i < 3; ++i) stream->Write(message);
  stream->WritesDone();
  EXPECT_EQ(FieldOf(stream->Finish()), "manifest");
}

TEST_F(FindMissingTensorsTest, WhatIsMissingFailsTheSave) {
  grpc::ClientContext context;
  const auto stream = rpc_.initializer().SaveModel(&context, &saved_);
  v1::SaveModelRequest message;
  message.mutable_header();
  stream->Write(message);
  v1::ManifestEntry& entry = *message.mutable_manifest()->add_entries();
  entry.set_key("w");
  entry.set_dtype("int8");
  entry.add_shape(3);
  entry.set_digest(Digest::Of("abc").ToHex());
  stream->Write(message);
  stream->WritesDone();
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ReasonOf(status), "TENSORS_MISSING");
  EXPECT_EQ(DetailsOf(status).info.metadata().at("key"), "w");
}

}  // namespace
}  // namespace warmstart::rpc
