#include "server/rpc/uploads_service.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/model/digest.h"
#include "tests/rpc/rpc_world.h"
#include "tests/service/files.h"

namespace warmstart::rpc {
namespace {

using service::MakeSafetensors;
using service::RecipeTensors;
using ::testing::HasSubstr;
using ::testing::SizeIs;

v1::WriteUploadRequest At(const std::string& upload, int file, int64_t offset) {
  v1::WriteUploadRequest message;
  message.mutable_begin()->set_upload(upload);
  message.mutable_begin()->set_file(file);
  message.mutable_begin()->set_offset(offset);
  return message;
}
v1::WriteUploadRequest Chunk(const std::string& bytes) {
  v1::WriteUploadRequest message;
  message.set_chunk(bytes);
  return message;
}

class UploadsServiceTest : public ::testing::Test {
 protected:
  std::string MustCreate(const std::vector<int64_t>& sizes) {
    grpc::ClientContext context;
    v1::CreateUploadRequest request;
    for (const int64_t size : sizes) {
      v1::UploadFile* file = request.add_files();
      file->set_name(absl::StrCat("f", request.files_size()));
      file->set_size(size);
    }
    v1::Upload upload;
    EXPECT_TRUE(rpc_.uploads().CreateUpload(&context, request, &upload).ok());
    return upload.name();
  }

  grpc::Status Write(const std::vector<v1::WriteUploadRequest>& messages,
                     v1::Upload* upload = nullptr) {
    grpc::ClientContext context;
    v1::Upload response;
    const auto stream = rpc_.uploads().WriteUpload(&context, &response);
    for (const v1::WriteUploadRequest& message : messages) {
      if (!stream->Write(message)) break;
    }
    stream->WritesDone();
    const grpc::Status status = stream->Finish();
    if (upload != nullptr) *upload = response;
    return status;
  }

  grpc::Status Query(const std::string& name, v1::Upload* upload,
                     bool digests = false) {
    grpc::ClientContext context;
    v1::QueryUploadRequest request;
    request.set_name(name);
    request.set_digests(digests);
    return rpc_.uploads().QueryUpload(&context, request, upload);
  }
  int64_t Committed(const std::string& name) {
    v1::Upload upload;
    EXPECT_TRUE(Query(name, &upload).ok());
    return upload.files(0).committed_bytes();
  }

  RpcWorld rpc_;
};

TEST_F(UploadsServiceTest, FilesThatCameInPiecesAreSaved) {
  const std::string file = MakeSafetensors(RecipeTensors());
  const std::string name = MustCreate({static_cast<int64_t>(file.size())});
  ASSERT_TRUE(Write({At(name, 0, 0), Chunk(file.substr(0, 10)),
                     Chunk(file.substr(10, 10))})
                  .ok());
  v1::Upload upload;
  ASSERT_TRUE(Write({At(name, 0, 20), Chunk(file.substr(20))}, &upload).ok());
  EXPECT_EQ(upload.name(), name);
  EXPECT_EQ(upload.files(0).name(), "f1");
  EXPECT_EQ(upload.files(0).size(), file.size());
  EXPECT_EQ(upload.files(0).committed_bytes(), file.size());
  EXPECT_EQ(upload.files(0).committed_sha256(), "");
  EXPECT_EQ(upload.expire_time().seconds() - upload.create_time().seconds(),
            24 * 3600);
  ASSERT_TRUE(Query(name, &upload, /*digests=*/true).ok());
  EXPECT_EQ(upload.files(0).committed_sha256(), Digest::Of(file).bytes());

  v1::SaveModelHeader header;
  header.set_upload(name);
  header.set_request_id("id-1");
  v1::SaveModelResponse saved;
  ASSERT_TRUE(rpc_.Save(header, {}, &saved).ok());
  EXPECT_EQ(saved.checkpoint().tensor_count(), RecipeTensors().size());
  const grpc::Status gone = Query(name, &upload);
  EXPECT_EQ(gone.error_code(), grpc::NOT_FOUND);
  EXPECT_EQ(ReasonOf(gone), "UPLOAD_NOT_FOUND");
  v1::SaveModelResponse again;
  ASSERT_TRUE(rpc_.Save(header, {}, &again).ok());
  EXPECT_EQ(again.checkpoint().name(), saved.checkpoint().name());
}

TEST_F(UploadsServiceTest, AWrongOffsetIsAnsweredWithTheRightOne) {
  const std::string name = MustCreate({10});
  ASSERT_TRUE(Write({At(name, 0, 0), Chunk("0123")}).ok());
  const grpc::Status status = Write({At(name, 0, 3), Chunk("3456")});
  EXPECT_EQ(status.error_code(), grpc::OUT_OF_RANGE);
  EXPECT_THAT(status.error_message(), HasSubstr("has 4 bytes"));
  EXPECT_EQ(ReasonOf(status), "UPLOAD_OFFSET");
  EXPECT_EQ(DetailsOf(status).info.metadata().at("committed_bytes"), "4");
}

TEST_F(UploadsServiceTest, OneStreamWritesAtATime) {
  const std::string name = MustCreate({10});
  grpc::ClientContext context;
  v1::Upload response;
  const auto first = rpc_.uploads().WriteUpload(&context, &response);
  ASSERT_TRUE(first->Write(At(name, 0, 0)));
  ASSERT_TRUE(first->Write(Chunk("01")));
  while (rpc_.world().Uploads().size() < 2) std::this_thread::yield();
  const grpc::Status second = Write({At(name, 0, 0)});
  EXPECT_EQ(second.error_code(), grpc::ABORTED);
  EXPECT_EQ(ReasonOf(second), "UPLOAD_BUSY");
  ASSERT_TRUE(first->Write(Chunk("23456789")));
  first->WritesDone();
  EXPECT_TRUE(first->Finish().ok());
  EXPECT_EQ(Committed(name), 10);
}

TEST_F(UploadsServiceTest, WhatCameBeforeAStreamBrokeIsKept) {
  const std::string name = MustCreate({10});
  {
    grpc::ClientContext context;
    v1::Upload response;
    const auto stream = rpc_.uploads().WriteUpload(&context, &response);
    ASSERT_TRUE(stream->Write(At(name, 0, 0)));
    ASSERT_TRUE(stream->Write(Chunk("0123")));
    while (rpc_.world().Uploads().size() < 2) std::this_thread::yield();
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::CANCELLED);
  }
  while (Committed(name) == 0) std::this_thread::yield();
  EXPECT_EQ(Committed(name), 4);
  // A refused message, too. The server may need a moment to let go of the
  // upload.
  grpc::Status refused;
  do {
    refused = Write({At(name, 0, 4), Chunk("45"), Chunk("more than that")});
  } while (refused.error_code() == grpc::ABORTED);
  EXPECT_EQ(refused.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(Committed(name), 6);
}

TEST_F(UploadsServiceTest, MessagesOutOfOrderAreRefusedByField) {
  const std::string name = MustCreate({10});
  EXPECT_EQ(FieldOf(Write({})), "begin");
  EXPECT_EQ(FieldOf(Write({Chunk("x")})), "chunk");
  EXPECT_EQ(FieldOf(Write({v1::WriteUploadRequest()})), "payload");
  EXPECT_EQ(FieldOf(Write({At(name, 1, 0)})), "file");
  EXPECT_EQ(
      FieldOf(Write({At(name, 0, 0), Chunk(std::string((8 << 20) + 1, 'x'))})),
      "chunk");
}

TEST_F(UploadsServiceTest, ListsAndDeletes) {
  const std::string name = MustCreate({10, 5});
  MustCreate({1});
  v1::ListUploadsRequest list;
  v1::ListUploadsResponse listed;
  {
    grpc::ClientContext context;
    list.set_page_size(1);
    ASSERT_TRUE(rpc_.uploads().ListUploads(&context, list, &listed).ok());
    EXPECT_THAT(listed.uploads(), SizeIs(1));
    EXPECT_NE(listed.next_page_token(), "");
  }
  for (const bool there : {true, false}) {
    grpc::ClientContext context;
    v1::DeleteUploadRequest request;
    request.set_name(name);
    google::protobuf::Empty response;
    EXPECT_EQ(
        rpc_.uploads().DeleteUpload(&context, request, &response).error_code(),
        there ? grpc::OK : grpc::NOT_FOUND);
  }
  grpc::ClientContext context;
  list.set_page_size(0);
  ASSERT_TRUE(rpc_.uploads().ListUploads(&context, list, &listed).ok());
  EXPECT_THAT(listed.uploads(), SizeIs(1));
}

TEST_F(UploadsServiceTest, AHeaderThatSaveModelWouldRefuseIsRefused) {
  grpc::ClientContext context;
  v1::CreateUploadRequest request;
  request.add_files()->set_name("a");
  request.mutable_header()->set_architecture("NoSuch");
  v1::Upload upload;
  const grpc::Status status =
      rpc_.uploads().CreateUpload(&context, request, &upload);
  EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
  EXPECT_EQ(ReasonOf(status), "ARCHITECTURE_NOT_FOUND");
}

}  // namespace
}  // namespace warmstart::rpc
