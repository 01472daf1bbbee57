#include "server/rpc/response_translation.h"

#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>

#include <string>

#include "absl/strings/ascii.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/rpc/architecture_translation.h"
#include "server/rpc/initializer_translation.h"
#include "server/rpc/request_translation.h"
#include "server/service/origin.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

// Fails where `message` is not what `text` says, field by field.
template <typename Message>
void ExpectIs(const Message& message, const std::string& text) {
  Message expected;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &expected));
  std::string difference;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&difference);
  EXPECT_TRUE(differencer.Compare(expected, message)) << difference;
}

TensorSpec SpecOf(DType dtype, std::vector<int64_t> sizes) {
  return TensorSpec::Create(dtype, Shape::Create(std::move(sizes)).value())
      .value();
}

CheckpointName NameOf(const std::string& id) {
  return CheckpointName::Parse("checkpoints/" + id).value();
}

store::Checkpoint MakeCheckpoint(const service::Origin& origin) {
  store::Checkpoint checkpoint;
  checkpoint.name = NameOf("abc");
  checkpoint.architecture = ArchitectureName::Parse("NetA").value();
  checkpoint.create_time = absl::FromUnixNanos(1704067200'000000007);
  checkpoint.labels = {{"a", "b"}};
  checkpoint.aliases = {AliasName::Parse("x").value(),
                        AliasName::Parse("y/z").value()};
  checkpoint.num_tensors = 10;
  checkpoint.num_bytes = 4000;
  checkpoint.origin_json = service::OriginToJson(origin);
  return checkpoint;
}

TEST(CheckpointToProtoTest, EveryFieldOfTheBasicViewIsTranslated) {
  service::UploadOrigin origin;
  origin.files = {"a.pt", "b.pt"};
  origin.format = "torch-zip";
  store::Checkpoint checkpoint = MakeCheckpoint(origin);
  checkpoint.report_json = "not looked at";
  v1::Checkpoint proto;
  ASSERT_OK(ToProto(checkpoint, &proto));
  ExpectIs(proto, R"(
    name: "checkpoints/abc" architecture: "architectures/NetA"
    create_time { seconds: 1704067200 nanos: 7 }
    labels { key: "a" value: "b" }
    aliases: "aliases/x" aliases: "aliases/y/z"
    tensor_count: 10 size_bytes: 4000
    origin { upload { files: "a.pt" files: "b.pt" format: "torch-zip" } })");
}

TEST(CheckpointToProtoTest, EveryOriginIsTranslated) {
  v1::Checkpoint proto;
  ASSERT_OK(ToProto(
      MakeCheckpoint(service::InitializationOrigin{UINT64_MAX, "cuda:0"}),
      &proto));
  ExpectIs(proto.origin(), R"(initialization { seed: 18446744073709551615
                                               device: "cuda:0" })");
  proto.Clear();
  ASSERT_OK(ToProto(MakeCheckpoint(service::WarmStartOrigin{
                        {NameOf("b"), NameOf("a")}, 7, "cpu"}),
                    &proto));
  ExpectIs(proto.origin(),
           R"(warm_start { sources: "checkpoints/b" sources: "checkpoints/a"
                           seed: 7 device: "cpu" })");
}

TEST(CheckpointToProtoTest, AVersionIsPartOfTheArchitecturesName) {
  store::Checkpoint checkpoint = MakeCheckpoint(service::UploadOrigin{});
  checkpoint.architecture = ArchitectureName::Parse("mine/versions/2").value();
  v1::Checkpoint proto;
  ASSERT_OK(ToProto(checkpoint, &proto));
  EXPECT_EQ(proto.architecture(), "architectures/mine/versions/2");
}

TEST(CheckpointToProtoTest, NoArchitectureIsNoResourceName) {
  store::Checkpoint checkpoint = MakeCheckpoint(service::UploadOrigin{});
  checkpoint.architecture.reset();
  v1::Checkpoint proto;
  ASSERT_OK(ToProto(checkpoint, &proto));
  EXPECT_EQ(proto.architecture(), "");
}

TEST(CheckpointToProtoTest, AnOriginThatIsDamagedIsDataLoss) {
  store::Checkpoint checkpoint = MakeCheckpoint(service::UploadOrigin{});
  checkpoint.origin_json = "{";
  v1::Checkpoint proto;
  EXPECT_THAT(ToProto(checkpoint, &proto),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST(AddFullViewTest, ReportAndMetadataAreAdded) {
  store::Checkpoint checkpoint = MakeCheckpoint(service::UploadOrigin{});
  MatchReport report;
  report.summary = "<All keys matched successfully>";
  checkpoint.report_json = MatchReportToJson(report);
  Manifest manifest;
  manifest.metadata_json = R"({"epoch":3})";
  v1::Checkpoint proto;
  ASSERT_OK(AddFullView(checkpoint, manifest, &proto));
  EXPECT_EQ(proto.report().summary(), report.summary);
  EXPECT_EQ(proto.metadata().fields().at("epoch").number_value(), 3);
}

TEST(AddFullViewTest, WhatIsNotThereIsNotSet) {
  v1::Checkpoint proto;
  ASSERT_OK(AddFullView(MakeCheckpoint(service::UploadOrigin{}), {}, &proto));
  EXPECT_FALSE(proto.has_report());
  EXPECT_FALSE(proto.has_metadata());
}

TEST(AddFullViewTest, WhatIsDamagedIsDataLoss) {
  store::Checkpoint checkpoint = MakeCheckpoint(service::UploadOrigin{});
  v1::Checkpoint proto;
  Manifest manifest;
  manifest.metadata_json = "{";
  EXPECT_THAT(AddFullView(checkpoint, manifest, &proto),
              StatusIs(absl::StatusCode::kDataLoss));
  checkpoint.report_json = "{";
  EXPECT_THAT(AddFullView(checkpoint, {}, &proto),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST(ReportToProtoTest, EveryFieldIsTranslated) {
  MatchReport report;
  report.architecture = "NetB";
  report.summary = "summary";
  report.missing_keys = {"m1", "m2"};
  report.unexpected_keys = {"u"};
  report.mismatched_keys = {
      {"k", "s", Shape::Create({1, 2}).value(), Shape::Create({3}).value()}};
  report.coverage = {1, 2, 10, 40, 40, 320};
  TargetReport& loaded = report.entries.emplace_back();
  loaded.key = "k";
  loaded.kind = EntryKind::kBuffer;
  loaded.outcome = TargetOutcome::kCast;
  loaded.spec = SpecOf(DType::kFloat16, {2});
  loaded.source = 0;
  loaded.source_key = "s";
  loaded.source_spec = SpecOf(DType::kFloat32, {2});
  loaded.rules = {"--rename s=k"};
  TargetReport& fresh = report.entries.emplace_back();
  fresh.key = "f";
  fresh.spec = SpecOf(DType::kFloat32, {});
  fresh.initializer = "zeros";
  report.source_entries = {
      {1, "s", SourceOutcome::kShadowed, SpecOf(DType::kInt64, {4})}};
  report.rules = {{"--rename s=k", 1}};
  report.subtrees = {"", "model"};
  report.notes = {"note"};
  v1::MatchReport proto;
  ToProto(report, &proto);
  ExpectIs(proto, R"(
    architecture: "architectures/NetB" summary: "summary"
    missing_keys: "m1" missing_keys: "m2" unexpected_keys: "u"
    mismatched_keys { key: "k" source_key: "s" source_shape: 1 source_shape: 2
                      target_shape: 3 }
    coverage { keys_loaded: 1 keys_total: 2 key_fraction: 0.5
               parameters_loaded: 10 parameters_total: 40
               parameter_fraction: 0.25
               bytes_loaded: 40 bytes_total: 320 byte_fraction: 0.125 }
    entries { key: "k" outcome: TARGET_OUTCOME_CAST buffer: true
              dtype: "float16" shape: 2 source: 0 source_key: "s"
              source_dtype: "float32" source_shape: 2
              rules: "--rename s=k" }
    entries { key: "f" outcome: TARGET_OUTCOME_INITIALIZED dtype: "float32"
              initializer: "zeros" }
    source_entries { source: 1 key: "s" outcome: SOURCE_OUTCOME_SHADOWED
                     dtype: "int64" shape: 4 }
    rules { rule: "--rename s=k" keys: 1 }
    subtrees: "" subtrees: "model" notes: "note")");
}

TEST(ReportToProtoTest, EveryOutcomeIsTranslatedByItsName) {
  MatchReport report;
  for (const TargetOutcome outcome :
       {TargetOutcome::kMatched, TargetOutcome::kRenamed,
        TargetOutcome::kAdapted, TargetOutcome::kCast, TargetOutcome::kKept,
        TargetOutcome::kInitialized}) {
    report.entries.emplace_back().outcome = outcome;
  }
  for (const SourceOutcome outcome :
       {SourceOutcome::kUsed, SourceOutcome::kUnexpected,
        SourceOutcome::kExcluded, SourceOutcome::kShadowed,
        SourceOutcome::kMismatched}) {
    report.source_entries.emplace_back().outcome = outcome;
  }
  v1::MatchReport proto;
  ToProto(report, &proto);
  for (size_t i = 0; i < report.entries.size(); ++i) {
    EXPECT_EQ(v1::TargetOutcome_Name(proto.entries(i).outcome()),
              "TARGET_OUTCOME_" + absl::AsciiStrToUpper(TargetOutcomeName(
                                      report.entries[i].outcome)));
  }
  for (size_t i = 0; i < report.source_entries.size(); ++i) {
    EXPECT_EQ(v1::SourceOutcome_Name(proto.source_entries(i).outcome()),
              "SOURCE_OUTCOME_" + absl::AsciiStrToUpper(SourceOutcomeName(
                                      report.source_entries[i].outcome)));
  }
}

TEST(AliasToProtoTest, EveryFieldIsTranslated) {
  v1::Alias proto;
  ToProto(store::Alias{AliasName::Parse("x/y").value(), NameOf("abc"),
                       absl::FromUnixSeconds(5)},
          &proto);
  ExpectIs(proto, R"(name: "aliases/x/y" checkpoint: "checkpoints/abc"
                     update_time { seconds: 5 })");
}

// What is registered is what is shown, so both translations are one.
TEST(ArchitectureToProtoTest, WhatWasTranslatedThereComesBack) {
  Architecture architecture;
  architecture.name = "mine";
  const Initializer initializers[] = {
      ConstantInit{0},
      ConstantInit{1},
      ConstantInit{-0.5},
      NormalInit{1, 0},
      NormalInit{0, 1, 0},
      NormalInit{0, 1, 7},
      UniformInit{-1, 0},
      KaimingUniformInit{},
      KaimingUniformInit{0, FanMode::kFanOut, Nonlinearity::kLeakyRelu},
      KaimingUniformInit{1, FanMode::kFanIn, Nonlinearity::kRelu},
      KaimingUniformInit{1, FanMode::kFanIn, Nonlinearity::kLinear},
      KaimingUniformInit{1, FanMode::kFanIn, Nonlinearity::kTanh},
      KaimingNormalInit{0.2, FanMode::kFanOut, Nonlinearity::kSelu},
      KaimingNormalInit{0, FanMode::kFanIn, Nonlinearity::kSigmoid},
      XavierUniformInit{0.1},
      XavierNormalInit{5.0 / 3},
      TruncNormalInit{0.1, 0.02, -0.3, 0.4},
      OrthogonalInit{1.4142135623730951},
      SparseInit{0.1, 0.3},
      EyeInit{},
      DiracInit{3},
      FanInUniformInit{400},
      StoredInit{"a.key", {}},
  };
  for (const Initializer& initializer : initializers) {
    architecture.entries.push_back({"w", SpecOf(DType::kFloat64, {2, 0}),
                                    EntryKind::kParameter, initializer});
  }
  architecture.entries.push_back(
      {"n", SpecOf(DType::kInt64, {}), EntryKind::kBuffer, ConstantInit{0}});
  architecture.modules = {{"", 1}, {"bn", 2}};
  v1::Architecture proto;
  ToProto(architecture, &proto);
  EXPECT_EQ(proto.name(), "architectures/mine");
  ASSERT_OK_AND_ASSIGN(Architecture back, FromProto(proto));
  back.name = architecture.name;
  EXPECT_EQ(back, architecture);
}

TEST(ArchitectureSummaryToProtoTest, CountsAreSums) {
  v1::ArchitectureSummary proto;
  ToProto(service::MakeSchema(
              "mine", {{"a", {2, 3}}, {"b", {}, DType::kInt64}, {"c", {0}}}),
          &proto);
  ExpectIs(proto, R"(name: "architectures/mine" entry_count: 3
                     parameter_count: 7 size_bytes: 32)");
}

}  // namespace
}  // namespace warmstart::rpc
