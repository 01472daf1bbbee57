#include "server/rpc/model_initializer_service.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/rpc/error_translation.h"
#include "tests/rpc/rpc_world.h"
#include "tests/service/files.h"

namespace warmstart::rpc {
namespace {

using service::FloatTensor;
using service::MakeSafetensors;
using service::RecipeTensors;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

v1::WarmStartRequest RequestFor(const std::string& architecture,
                                const std::string& source) {
  v1::WarmStartRequest request;
  request.set_architecture(architecture);
  request.add_sources()->set_checkpoint(source);
  request.set_seed(7);
  return request;
}

class ModelInitializerServiceTest : public ::testing::Test {
 protected:
  grpc::Status WarmStart(const v1::WarmStartRequest& request,
                         v1::WarmStartResponse* response) {
    grpc::ClientContext context;
    return rpc_.initializer().WarmStart(&context, request, response);
  }

  // Sends these messages, whatever they are.
  grpc::Status Send(const std::vector<v1::SaveModelRequest>& messages) {
    grpc::ClientContext context;
    v1::SaveModelResponse response;
    const auto stream = rpc_.initializer().SaveModel(&context, &response);
    for (const v1::SaveModelRequest& message : messages) {
      if (!stream->Write(message)) break;
    }
    stream->WritesDone();
    return stream->Finish();
  }

  // A checkpoint of the recipe's network without its last layer.
  std::string SavePartial() {
    std::vector<service::Tensor> tensors = RecipeTensors();
    tensors.resize(tensors.size() - 2);
    return rpc_.MustSave(MakeSafetensors(tensors));
  }

  RpcWorld rpc_;
};

v1::SaveModelRequest Header(const std::string& architecture = "") {
  v1::SaveModelRequest message;
  message.mutable_header()->set_architecture(architecture);
  return message;
}
v1::SaveModelRequest File(const std::string& name) {
  v1::SaveModelRequest message;
  message.mutable_file()->set_name(name);
  return message;
}
v1::SaveModelRequest Chunk(const std::string& bytes) {
  v1::SaveModelRequest message;
  message.set_chunk(bytes);
  return message;
}

TEST_F(ModelInitializerServiceTest, AModelIsSavedAndAnotherStartsFromIt) {
  v1::SaveModelHeader header;
  header.set_architecture("NetA");
  header.set_alias("net_a/best");
  (*header.mutable_labels())["team"] = "vision";
  v1::SaveModelResponse saved;
  grpc::Status status = rpc_.Save(
      header, {{"a.safetensors", MakeSafetensors(RecipeTensors())}}, &saved);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(saved.checkpoint().name(), StartsWith("checkpoints/"));
  EXPECT_EQ(saved.checkpoint().architecture(), "architectures/NetA");
  EXPECT_EQ(saved.checkpoint().labels().at("team"), "vision");
  EXPECT_THAT(saved.checkpoint().aliases(), ElementsAre("aliases/net_a/best"));
  EXPECT_THAT(saved.checkpoint().origin().upload().files(),
              ElementsAre("a.safetensors"));
  EXPECT_EQ(saved.report().summary(), "<All keys matched successfully>");
  EXPECT_THAT(saved.skipped_values(), IsEmpty());

  v1::WarmStartResponse started;
  status = WarmStart(RequestFor("NetB", "aliases/net_a/best"), &started);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(started.report().summary(), "<All keys matched successfully>");
  EXPECT_EQ(started.checkpoint().architecture(), "architectures/NetB");
  EXPECT_THAT(started.checkpoint().origin().warm_start().sources(),
              ElementsAre(saved.checkpoint().name()));
  EXPECT_EQ(rpc_.world().Values(started.checkpoint().name()),
            rpc_.world().Values(saved.checkpoint().name()));
}

TEST_F(ModelInitializerServiceTest, AHeaderAloneMakesAFreshModel) {
  v1::SaveModelHeader header;
  header.set_architecture("NetA");
  header.set_seed(7);
  v1::SaveModelResponse response;
  ASSERT_TRUE(rpc_.Save(header, {}, &response).ok());
  EXPECT_EQ(response.checkpoint().origin().initialization().seed(), 7);
  EXPECT_FALSE(response.has_report());
}

TEST_F(ModelInitializerServiceTest, ARetryIsAnsweredBeforeItsFilesAreSent) {
  v1::SaveModelHeader header;
  header.set_request_id("id");
  v1::SaveModelResponse first;
  const std::string file = MakeSafetensors(RecipeTensors());
  ASSERT_TRUE(rpc_.Save(header, {{"a", file}}, &first).ok());

  grpc::ClientContext context;
  v1::SaveModelResponse second;
  const auto stream = rpc_.initializer().SaveModel(&context, &second);
  v1::SaveModelRequest message;
  *message.mutable_header() = header;
  ASSERT_TRUE(stream->Write(message));
  // The client leaves the stream open.
  const grpc::Status status = stream->Finish();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(second.checkpoint().name(), first.checkpoint().name());
}

TEST_F(ModelInitializerServiceTest, MessagesOutOfOrderAreRefusedByField) {
  const std::pair<std::vector<v1::SaveModelRequest>, std::string> cases[] = {
      {{}, "header"},
      {{File("a")}, "header"},
      {{Chunk("x")}, "header"},
      {{v1::SaveModelRequest()}, "header"},
      {{Header(), Header()}, "header"},
      {{Header(), File("a"), Header()}, "header"},
      {{Header(), Chunk("x")}, "chunk"},
      {{Header(), v1::SaveModelRequest()}, "payload"},
      {{Header()}, "architecture"},
  };
  for (const auto& [messages, field] : cases) {
    const grpc::Status status = Send(messages);
    EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT)
        << field << ": " << status.error_message();
    EXPECT_EQ(FieldOf(status), field);
  }
  EXPECT_EQ(rpc_.world().num_checkpoints(), 0);
  EXPECT_TRUE(rpc_.StagingEmpties());
}

TEST_F(ModelInitializerServiceTest, ChunksMayHave8MiBAndNoMore) {
  const std::string file = MakeSafetensors(
      {{"w", DType::kUint8, {8 << 20}, std::string(8 << 20, 'w')}});
  const std::string head = file.substr(0, file.size() - (8 << 20));
  const std::string body = file.substr(head.size());
  const grpc::Status fits =
      Send({Header(), File("w"), Chunk(head), Chunk(body)});
  EXPECT_TRUE(fits.ok()) << fits.error_message();
  const grpc::Status status =
      Send({Header(), File("w"), Chunk(head), Chunk(body + "x")});
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "chunk");
}

TEST_F(ModelInitializerServiceTest, AMessageThatIsFarTooLargeIsRefused) {
  const grpc::Status status =
      Send({Header(), File("w"), Chunk(std::string(33 << 20, 'x'))});
  EXPECT_EQ(status.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(rpc_.StagingEmpties());
}

TEST_F(ModelInitializerServiceTest, AFileThatIsDamagedIsRefusedByName) {
  const grpc::Status status =
      Send({Header(), File("notes.txt"), Chunk("Dear diary")});
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("notes.txt"));
  EXPECT_EQ(ReasonOf(status), "INVALID_FILE");
}

TEST_F(ModelInitializerServiceTest, AnUploadThatIsCancelledLeavesNothing) {
  grpc::ClientContext context;
  v1::SaveModelResponse response;
  const auto stream = rpc_.initializer().SaveModel(&context, &response);
  ASSERT_TRUE(stream->Write(Header()));
  // A whole file: what is cut off must not be taken for finished.
  ASSERT_TRUE(stream->Write(File("a")));
  ASSERT_TRUE(stream->Write(Chunk(MakeSafetensors(RecipeTensors()))));
  while (rpc_.world().Staged().empty()) std::this_thread::yield();
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::CANCELLED);
  EXPECT_TRUE(rpc_.StagingEmpties());
  EXPECT_EQ(rpc_.world().num_checkpoints(), 0);
}

TEST_F(ModelInitializerServiceTest, AnUploadBeyondItsDeadlineLeavesNothing) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(300));
  v1::SaveModelResponse response;
  const auto stream = rpc_.initializer().SaveModel(&context, &response);
  ASSERT_TRUE(stream->Write(Header()));
  ASSERT_TRUE(stream->Write(File("a")));
  ASSERT_TRUE(stream->Write(Chunk(MakeSafetensors(RecipeTensors()))));
  EXPECT_EQ(stream->Finish().error_code(), grpc::DEADLINE_EXCEEDED);
  EXPECT_TRUE(rpc_.StagingEmpties());
  EXPECT_EQ(rpc_.world().num_checkpoints(), 0);
}

TEST_F(ModelInitializerServiceTest, ADryRunHasAReportAndNoCheckpoint) {
  v1::WarmStartRequest request = RequestFor("NetB", SavePartial());
  request.set_validate_only(true);
  v1::WarmStartResponse response;
  ASSERT_TRUE(WarmStart(request, &response).ok());
  EXPECT_FALSE(response.has_checkpoint());
  EXPECT_THAT(response.report().missing_keys(),
              ElementsAre("fc3.weight", "fc3.bias"));
  EXPECT_THAT(response.report().entries(), SizeIs(10));
  EXPECT_EQ(rpc_.world().num_checkpoints(), 1);
}

TEST_F(ModelInitializerServiceTest, APolicyThatIsNotMetComesWithTheReport) {
  v1::WarmStartRequest request = RequestFor("NetB", SavePartial());
  request.set_strict(true);
  v1::WarmStartResponse response;
  const grpc::Status status = WarmStart(request, &response);
  EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_EQ(status.error_message(),
            "Error(s) in loading state_dict for NetB:\n\tMissing key(s) in "
            "state_dict: \"fc3.weight\", \"fc3.bias\". ");
  const ErrorDetails details = DetailsOf(status);
  EXPECT_EQ(details.info.reason(), "STRICT_NOT_MET");
  ASSERT_TRUE(details.report.has_value());
  EXPECT_THAT(details.report->missing_keys(),
              ElementsAre("fc3.weight", "fc3.bias"));
  EXPECT_THAT(details.report->entries(), SizeIs(10));
  EXPECT_EQ(rpc_.world().num_checkpoints(), 1);
}

TEST_F(ModelInitializerServiceTest, ErrorsBeforeThePlanHaveNoReport) {
  v1::WarmStartResponse response;
  const grpc::Status status =
      WarmStart(RequestFor("NetB", "checkpoints/nobody"), &response);
  EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
  const ErrorDetails details = DetailsOf(status);
  EXPECT_EQ(details.info.reason(), "CHECKPOINT_NOT_FOUND");
  EXPECT_FALSE(details.report.has_value());
}

// A large model with long names, none of which match.
class LargeErrorTest : public ModelInitializerServiceTest {
 protected:
  void SetUp() override {
    std::vector<service::Entry> entries;
    for (int i = 0; i < 3000; ++i) {
      entries.push_back({absl::StrCat("couche_très_profonde.", i), {1}});
    }
    ASSERT_TRUE(rpc_.world()
                    .architectures()
                    .Register(service::MakeSchema("large", entries))
                    .ok());
    request_ = RequestFor("large", SavePartial());
    request_.set_strict(true);
  }

  v1::WarmStartRequest request_;
};

TEST_F(LargeErrorTest, AStockClientGetsTheReasonAndTheBeginning) {
  v1::WarmStartResponse response;
  const grpc::Status status = WarmStart(request_, &response);
  EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION)
      << status.error_message();
  EXPECT_THAT(status.error_message(),
              StartsWith("Error(s) in loading state_dict for large:"));
  const ErrorDetails details = DetailsOf(status);
  EXPECT_EQ(details.info.reason(), "STRICT_NOT_MET");
  ASSERT_TRUE(details.report.has_value());
  EXPECT_EQ(details.report->coverage().keys_total(), 3000);
}

TEST_F(LargeErrorTest, AClientThatTakesMoreGetsAllOfIt) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 64 << 20);
  const auto stub = v1::ModelInitializer::NewStub(rpc_.NewChannel(arguments));
  grpc::ClientContext context;
  context.AddMetadata(kMaxErrorBytesKey, absl::StrCat(64 << 20));
  v1::WarmStartResponse response;
  const grpc::Status status = stub->WarmStart(&context, request_, &response);
  EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION)
      << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr("couche_très_profonde.2999"));
  ASSERT_TRUE(DetailsOf(status).report.has_value());
  EXPECT_THAT(DetailsOf(status).report->entries(), SizeIs(3000));
}

TEST_F(LargeErrorTest, ASizeThatIsNoNumberOrTooSmallIsIgnored) {
  for (const char* size : {"many", "-1", "1", ""}) {
    grpc::ClientContext context;
    context.AddMetadata(kMaxErrorBytesKey, size);
    v1::WarmStartResponse response;
    const grpc::Status status =
        rpc_.initializer().WarmStart(&context, request_, &response);
    EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION) << size;
    EXPECT_EQ(ReasonOf(status), "STRICT_NOT_MET");
  }
}

TEST_F(ModelInitializerServiceTest, AnEnormousModelIsRefusedAndNothingBreaks) {
  grpc::ClientContext register_context;
  v1::RegisterArchitectureRequest request;
  request.mutable_architecture()->set_name("huge");
  v1::ArchitectureEntry* entry = request.mutable_architecture()->add_entries();
  entry->set_key("w");
  entry->add_shape(int64_t{1} << 60);
  v1::Architecture architecture;
  ASSERT_TRUE(
      rpc_.architectures()
          .RegisterArchitecture(&register_context, request, &architecture)
          .ok());
  v1::SaveModelHeader header;
  header.set_architecture("huge");
  v1::SaveModelResponse saved;
  const grpc::Status fresh = rpc_.Save(header, {}, &saved);
  EXPECT_EQ(fresh.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(fresh), "OUT_OF_SPACE");
  v1::WarmStartResponse started;
  const grpc::Status start =
      WarmStart(RequestFor("huge", SavePartial()), &started);
  EXPECT_EQ(start.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ReasonOf(start), "OUT_OF_SPACE");
  EXPECT_TRUE(rpc_.StagingEmpties());
  header.set_architecture("NetA");
  EXPECT_TRUE(rpc_.Save(header, {}, &saved).ok());
}

TEST_F(ModelInitializerServiceTest, ManyClientsAtOnceGetTheirOwnAnswers) {
  const std::string source = SavePartial();
  std::vector<std::thread> clients;
  std::atomic<int> failures = 0;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&, i] {
      for (int round = 0; round < 10; ++round) {
        v1::WarmStartRequest request = RequestFor("NetB", source);
        request.set_seed(i);
        (*request.mutable_labels())["client"] = absl::StrCat(i);
        v1::WarmStartResponse response;
        const grpc::Status status = WarmStart(request, &response);
        if (!status.ok() ||
            response.checkpoint().labels().at("client") != absl::StrCat(i) ||
            response.checkpoint().origin().warm_start().seed() !=
                static_cast<uint64_t>(i)) {
          ++failures;
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(rpc_.world().num_checkpoints(), 81);
}

}  // namespace
}  // namespace warmstart::rpc
