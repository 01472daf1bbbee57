#include "client/cpp/client.h"

#include <set>
#include <utility>

#include "absl/time/clock.h"
#include "client/cpp/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/testing/fake_server.h"
#include "tests/client/testing/test_files.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"
#include "warmstart/v1/admin_mock.grpc.pb.h"
#include "warmstart/v1/architectures_mock.grpc.pb.h"
#include "warmstart/v1/checkpoints_mock.grpc.pb.h"
#include "warmstart/v1/model_initializer_mock.grpc.pb.h"

namespace warmstart::client {
namespace {

using ::testing::_;
using ::testing::DoAll;
using ::testing::ElementsAre;
using ::testing::Invoke;
using ::testing::Not;
using ::testing::Return;
using ::testing::SetArgPointee;
using ::testing::StrictMock;
using ::warmstart::testing::StatusIs;

const grpc::Status kLost(grpc::StatusCode::UNAVAILABLE, "lost");

// A client whose services are mocks.
class ClientTest : public ::testing::Test {
 protected:
  ClientTest() {
    auto initializer =
        std::make_unique<StrictMock<v1::MockModelInitializerStub>>();
    auto checkpoints = std::make_unique<StrictMock<v1::MockCheckpointsStub>>();
    auto architectures =
        std::make_unique<StrictMock<v1::MockArchitecturesStub>>();
    auto admin = std::make_unique<StrictMock<v1::MockAdminStub>>();
    initializer_ = initializer.get();
    checkpoints_ = checkpoints.get();
    architectures_ = architectures.get();
    admin_ = admin.get();
    client_ = std::make_unique<Client>(
        Client::Stubs{.model_initializer = std::move(initializer),
                      .checkpoints = std::move(checkpoints),
                      .architectures = std::move(architectures),
                      .admin = std::move(admin)},
        ClientOptions{.sleep = [this](absl::Duration) { ++pauses_; }});
  }

  v1::MockModelInitializerStub* initializer_;
  v1::MockCheckpointsStub* checkpoints_;
  v1::MockArchitecturesStub* architectures_;
  v1::MockAdminStub* admin_;
  std::unique_ptr<Client> client_;
  int pauses_ = 0;
};

TEST_F(ClientTest, WarmStartIsRetriedWithOneRequestId) {
  std::set<std::string> ids;
  const auto note_id = [&](auto*, const v1::WarmStartRequest& request, auto*) {
    ids.insert(request.request_id());
  };
  v1::WarmStartResponse response;
  response.mutable_checkpoint()->set_name("checkpoints/c1");
  EXPECT_CALL(*initializer_, WarmStart)
      .WillOnce(DoAll(Invoke(note_id), Return(kLost)))
      .WillOnce(DoAll(Invoke(note_id), Return(kLost)))
      .WillOnce(DoAll(Invoke(note_id), SetArgPointee<2>(response),
                      Return(grpc::Status::OK)));
  ASSERT_OK_AND_ASSIGN(const v1::WarmStartResponse answer,
                       client_->WarmStart({}));
  EXPECT_EQ(answer.checkpoint().name(), "checkpoints/c1");
  EXPECT_THAT(ids, ElementsAre(Not("")));
  EXPECT_EQ(pauses_, 2);
}

TEST_F(ClientTest, WarmStartKeepsTheCallersRequestId) {
  v1::WarmStartRequest request;
  request.set_request_id("mine");
  EXPECT_CALL(*initializer_, WarmStart)
      .WillOnce([](auto*, const v1::WarmStartRequest& sent, auto*) {
        EXPECT_EQ(sent.request_id(), "mine");
        return grpc::Status::OK;
      });
  EXPECT_OK(client_->WarmStart(request));
}

TEST_F(ClientTest, EachWarmStartHasItsOwnRequestId) {
  std::set<std::string> ids;
  EXPECT_CALL(*initializer_, WarmStart)
      .Times(2)
      .WillRepeatedly([&](auto*, const v1::WarmStartRequest& request, auto*) {
        ids.insert(request.request_id());
        return grpc::Status::OK;
      });
  EXPECT_OK(client_->WarmStart({}));
  EXPECT_OK(client_->WarmStart({}));
  EXPECT_EQ(ids.size(), 2);
}

TEST_F(ClientTest, UnmetPolicyIsNotRetriedAndBringsItsReport) {
  v1::MatchReport report;
  report.set_summary("Error(s) in loading state_dict for NetB");
  EXPECT_CALL(*initializer_, WarmStart)
      .WillOnce(
          Return(FailureWithDetails(grpc::StatusCode::FAILED_PRECONDITION,
                                    "strict", "STRICT_NOT_MET", &report)));
  const auto answer = client_->WarmStart({});
  EXPECT_THAT(answer, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(GetErrorDetails(answer.status()).report->summary(),
            report.summary());
  EXPECT_EQ(pauses_, 0);
}

TEST_F(ClientTest, ReadsAndWholeSettingsAreRetried) {
  const auto lost_once = [](auto& expectation) {
    expectation.WillOnce(Return(kLost)).WillOnce(Return(grpc::Status::OK));
  };
  lost_once(EXPECT_CALL(*checkpoints_, GetCheckpoint));
  EXPECT_OK(client_->GetCheckpoint({}));
  lost_once(EXPECT_CALL(*checkpoints_, ListCheckpoints));
  EXPECT_OK(client_->ListCheckpoints({}));
  lost_once(EXPECT_CALL(*checkpoints_, GetManifest));
  EXPECT_OK(client_->GetManifest({}));
  lost_once(EXPECT_CALL(*checkpoints_, DiffCheckpoints));
  EXPECT_OK(client_->DiffCheckpoints({}));
  lost_once(EXPECT_CALL(*checkpoints_, UpdateCheckpoint));
  EXPECT_OK(client_->SetLabels("checkpoints/c1", {}));
  lost_once(EXPECT_CALL(*checkpoints_, SetAlias));
  EXPECT_OK(client_->SetAlias({}));
  lost_once(EXPECT_CALL(*checkpoints_, ListAliases));
  EXPECT_OK(client_->ListAliases({}));
  lost_once(EXPECT_CALL(*architectures_, RegisterArchitecture));
  EXPECT_OK(client_->RegisterArchitecture({}));
  lost_once(EXPECT_CALL(*architectures_, GetArchitecture));
  EXPECT_OK(client_->GetArchitecture({}));
  lost_once(EXPECT_CALL(*architectures_, ListArchitectures));
  EXPECT_OK(client_->ListArchitectures({}));
  EXPECT_EQ(pauses_, 10);
}

TEST_F(ClientTest, DeletionsAreNotRetried) {
  EXPECT_CALL(*checkpoints_, DeleteCheckpoint).WillOnce(Return(kLost));
  EXPECT_THAT(client_->DeleteCheckpoint({}),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_CALL(*checkpoints_, DeleteAlias).WillOnce(Return(kLost));
  EXPECT_THAT(client_->DeleteAlias({}),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_CALL(*architectures_, DeleteArchitecture).WillOnce(Return(kLost));
  EXPECT_THAT(client_->DeleteArchitecture({}),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(pauses_, 0);
}

TEST_F(ClientTest, CollectionsAreNotRetriedButDryRunsAre) {
  EXPECT_CALL(*admin_, CollectGarbage).WillOnce(Return(kLost));
  EXPECT_THAT(client_->CollectGarbage({}),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(pauses_, 0);
  EXPECT_CALL(*admin_, CollectGarbage)
      .WillOnce(Return(kLost))
      .WillOnce(Return(grpc::Status::OK));
  v1::CollectGarbageRequest dry_run;
  dry_run.set_dry_run(true);
  EXPECT_OK(client_->CollectGarbage(dry_run));
  EXPECT_EQ(pauses_, 1);
}

TEST_F(ClientTest, SetLabelsUpdatesLabelsAlone) {
  EXPECT_CALL(*checkpoints_, UpdateCheckpoint)
      .WillOnce([](auto*, const v1::UpdateCheckpointRequest& request, auto*) {
        EXPECT_EQ(request.checkpoint().name(), "checkpoints/c1");
        EXPECT_EQ(request.checkpoint().labels().at("team"), "vision");
        EXPECT_THAT(request.update_mask().paths(), ElementsAre("labels"));
        return grpc::Status::OK;
      });
  EXPECT_OK(client_->SetLabels("checkpoints/c1", {{"team", "vision"}}));
}

// Against a real gRPC server.
class ConnectedClientTest : public ::testing::Test {
 protected:
  FakeServer server_;
  const std::unique_ptr<Client> client_ =
      Client::Connect({.address = server_.address()});
};

TEST_F(ConnectedClientTest, AnswersMayBeLargerThanGrpcsDefault) {
  server_.methods().get_manifest = [](const auto&, v1::Manifest* manifest) {
    for (int i = 0; i < 60'000; ++i) {
      v1::ManifestEntry& entry = *manifest->add_entries();
      entry.set_key(std::string(40, 'k'));
      entry.set_digest(std::string(64, '0'));
    }
    return grpc::Status::OK;
  };
  ASSERT_OK_AND_ASSIGN(const v1::Manifest manifest, client_->GetManifest({}));
  EXPECT_GT(manifest.ByteSizeLong(), 4 << 20);
}

TEST_F(ConnectedClientTest, AReproductionIsAskedAgainUntilItsFirstAnswer) {
  int calls = 0;
  server_.methods().reproduce_checkpoint = [&](const auto&, auto* writer) {
    if (++calls == 1) return kLost;
    writer->Write(v1::ReproduceCheckpointResponse());
    return calls == 2 ? kLost : grpc::Status::OK;
  };
  int results = 0;
  const auto take = [&](const v1::ReproduceCheckpointResponse&) { ++results; };
  EXPECT_THAT(client_->ReproduceCheckpoint({}, take),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(results, 1);
  EXPECT_OK(client_->ReproduceCheckpoint({}, take));
  EXPECT_EQ(results, 2);
}

TEST_F(ConnectedClientTest, TimeoutEndsACall) {
  server_.methods().get_checkpoint = [](const auto&, auto*) {
    absl::SleepFor(absl::Milliseconds(300));
    return grpc::Status::OK;
  };
  const auto hasty = Client::Connect(
      {.address = server_.address(), .timeout = absl::Milliseconds(50)});
  EXPECT_THAT(hasty->GetCheckpoint({}),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST_F(ConnectedClientTest, SavesGetARequestId) {
  std::set<std::string> ids;
  server_.methods().save_model = [&](auto* reader, auto*) {
    ids.insert(ReceiveUpload(*reader).header.request_id());
    return grpc::Status::OK;
  };
  testing::TempDir dir;
  WriteFile(dir.Join("model.pt"), "abc");
  EXPECT_OK(client_->Save({dir.Join("model.pt")}, {}));
  EXPECT_OK(client_->SaveFresh({}));
  EXPECT_THAT(ids, ElementsAre(Not(""), Not("")));
}

TEST_F(ConnectedClientTest, FilesAreResolvedBeforeAnythingIsSent) {
  EXPECT_THAT(client_->Save({"/no/such/file"}, {}),
              StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace warmstart::client
