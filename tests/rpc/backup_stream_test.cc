// BackUpStore over a connection.

#include "server/rpc/backup_stream.h"

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/model/digest.h"
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
using ::testing::StartsWith;

// A call, as it was answered.
struct Received {
  grpc::Status status;
  v1::BackupSummary summary;
  std::vector<std::string> kept;
  std::vector<std::pair<v1::BackupFile, std::string>> files;
};

class BackupStreamTest : public ::testing::Test {
 protected:
  // Saves what becomes a pack of `megabytes`.
  std::string Save(int megabytes, int seed) {
    return rpc_.MustSave(
        MakeSafetensors({FloatTensor("w", {megabytes, 1 << 18}, seed)}));
  }

  Received BackUp(const std::vector<v1::HeldPack>& held = {}) {
    grpc::ClientContext context;
    const auto stream = rpc_.admin().BackUpStore(&context);
    v1::BackUpStoreRequest request;
    request.mutable_held_packs()->Add(held.begin(), held.end());
    stream->Write(request);
    stream->WritesDone();
    Received received;
    v1::BackUpStoreResponse message;
    while (stream->Read(&message)) Take(message, received);
    received.status = stream->Finish();
    return received;
  }

  static void Take(const v1::BackUpStoreResponse& message, Received& received) {
    switch (message.kind_case()) {
      case v1::BackUpStoreResponse::kSummary:
        received.summary = message.summary();
        return;
      case v1::BackUpStoreResponse::kKept:
        received.kept.assign(message.kept().names().begin(),
                             message.kept().names().end());
        return;
      case v1::BackUpStoreResponse::kFile:
        received.files.push_back({message.file(), ""});
        return;
      case v1::BackUpStoreResponse::kChunk:
        EXPECT_LE(message.chunk().size(), 1 << 20);
        received.files.back().second += message.chunk();
        return;
      case v1::BackUpStoreResponse::kSha256:
        if (received.files.back().first.offset() == 0) {
          EXPECT_EQ(message.sha256(),
                    Digest::Of(received.files.back().second).ToHex());
        }
        return;
      case v1::BackUpStoreResponse::KIND_NOT_SET:
        FAIL();
    }
  }

  static v1::HeldPack Held(const std::string& name, int64_t size) {
    v1::HeldPack pack;
    pack.set_name(name);
    pack.set_size_bytes(size);
    return pack;
  }

  bool PacksEmpty() {
    for (int i = 0; i < 1000; ++i) {
      if (rpc_.world().Packs().empty()) return true;
      absl::SleepFor(absl::Milliseconds(10));
    }
    return false;
  }

  void Delete(const std::string& name) {
    grpc::ClientContext context;
    v1::DeleteCheckpointRequest request;
    request.set_name(name);
    google::protobuf::Empty response;
    ASSERT_TRUE(
        rpc_.checkpoints().DeleteCheckpoint(&context, request, &response).ok());
  }

  RpcWorld rpc_;
};

TEST_F(BackupStreamTest, EverythingComesInOrder) {
  Save(3, 1);
  const Received received = BackUp();
  ASSERT_TRUE(received.status.ok()) << received.status.error_message();
  EXPECT_THAT(received.kept, IsEmpty());
  ASSERT_THAT(received.files, SizeIs(2));
  const auto& [pack, bytes] = received.files[0];
  EXPECT_THAT(rpc_.world().Packs(), ElementsAre(pack.pack()));
  EXPECT_EQ(pack.size_bytes(), bytes.size());
  const auto& [catalog, rows] = received.files[1];
  EXPECT_EQ(catalog.pack(), "");
  EXPECT_EQ(catalog.size_bytes(), rows.size());
  EXPECT_THAT(rows, StartsWith("SQLite format 3"));
  EXPECT_EQ(received.summary.pack_count(), 1);
  EXPECT_EQ(received.summary.pack_bytes(), bytes.size());
  EXPECT_EQ(received.summary.catalog_bytes(), rows.size());
  EXPECT_EQ(received.summary.bytes_to_send(), bytes.size() + rows.size());
  EXPECT_GT(received.summary.snapshot_time().seconds(), 0);
  EXPECT_TRUE(rpc_.StagingEmpties());
}

TEST_F(BackupStreamTest, PacksThatTheClientHasAreNamedAndNotSent) {
  Save(1, 1);
  const Received first = BackUp();
  ASSERT_THAT(first.files, SizeIs(2));
  const std::string pack = first.files[0].first.pack();
  const auto size = static_cast<int64_t>(first.files[0].second.size());
  const Received second = BackUp({Held(pack, size)});
  EXPECT_THAT(second.kept, ElementsAre(pack));
  EXPECT_THAT(second.files, SizeIs(1));
  v1::HeldPack begun = Held(pack, size - 10);
  begun.set_partial(true);
  const Received third = BackUp({begun});
  ASSERT_THAT(third.files, SizeIs(2));
  EXPECT_EQ(third.files[0].first.offset(), size - 10);
  EXPECT_TRUE(third.files[0].second == first.files[0].second.substr(size - 10));
}

TEST_F(BackupStreamTest, AHeldPackThatCannotBeIsRefusedByField) {
  const Received received = BackUp({Held("../../etc/passwd", 1)});
  EXPECT_EQ(received.status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(received.status), "held_packs.name");
}

TEST_F(BackupStreamTest, ALostPackIsDataLoss) {
  Save(1, 1);
  const std::string pack = rpc_.world().Packs()[0];
  std::filesystem::remove(rpc_.world().PackPath(pack));
  const Received received = BackUp();
  EXPECT_EQ(received.status.error_code(), grpc::DATA_LOSS);
  EXPECT_THAT(received.status.error_message(), HasSubstr(pack));
  EXPECT_TRUE(rpc_.StagingEmpties());
}

TEST_F(BackupStreamTest, AClientThatGoesReleasesEverything) {
  // More than the connection buffers, so that the server waits for the client.
  const std::string name = Save(32, 1);
  grpc::ClientContext context;
  const auto stream = rpc_.admin().BackUpStore(&context);
  stream->WritesDone();
  v1::BackUpStoreResponse message;
  do {
    ASSERT_TRUE(stream->Read(&message));
  } while (message.kind_case() != v1::BackUpStoreResponse::kChunk);
  Delete(name);
  EXPECT_THAT(rpc_.world().Packs(), SizeIs(1));
  EXPECT_THAT(rpc_.world().Staged(), SizeIs(1));
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::CANCELLED);
  EXPECT_TRUE(PacksEmpty());
  EXPECT_TRUE(rpc_.StagingEmpties());
}

TEST_F(BackupStreamTest, AClientThatHasNotSaidWhatItHasHoldsNothing) {
  grpc::ClientContext context;
  const auto stream = rpc_.admin().BackUpStore(&context);
  stream->Write(v1::BackUpStoreRequest());
  const std::string name = Save(1, 1);
  Delete(name);
  EXPECT_THAT(rpc_.world().Packs(), IsEmpty());
  context.TryCancel();
  stream->Finish().IgnoreError();
}

TEST_F(BackupStreamTest, SeveralAtOnceGetTheSame) {
  Save(32, 1);
  grpc::ClientContext context;
  const auto stream = rpc_.admin().BackUpStore(&context);
  stream->WritesDone();
  Received first;
  v1::BackUpStoreResponse message;
  ASSERT_TRUE(stream->Read(&message));
  Take(message, first);
  const Received second = BackUp();
  while (stream->Read(&message)) Take(message, first);
  ASSERT_TRUE(stream->Finish().ok());
  ASSERT_TRUE(second.status.ok());
  ASSERT_THAT(first.files, SizeIs(2));
  EXPECT_TRUE(first.files[0].second == second.files[0].second);
}

}  // namespace
}  // namespace warmstart::rpc
