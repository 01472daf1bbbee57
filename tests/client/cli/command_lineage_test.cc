#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/tool_fixture.h"

namespace warmstart::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

v1::LineageStep& AddStep(v1::TensorLineage& tensor,
                         const std::string& checkpoint, const std::string& key,
                         v1::LineageKind kind) {
  v1::LineageStep& step = *tensor.add_steps();
  step.set_checkpoint("checkpoints/" + checkpoint);
  step.set_key(key);
  step.set_kind(kind);
  return step;
}

// From "module.{key}" of an upload.
void AddRenamed(const std::string& key, v1::GetLineageResponse* response) {
  v1::TensorLineage& tensor = *response->add_tensors();
  v1::LineageStep& step = AddStep(tensor, "c3", key, v1::LINEAGE_KIND_LOADED);
  step.set_outcome(v1::TARGET_OUTCOME_RENAMED);
  step.add_rules("--strip-prefix module.");
  step.add_sources(1);
  AddStep(tensor, "c1", "module." + key, v1::LINEAGE_KIND_UPLOADED);
}

void AddCheckpoints(v1::GetLineageResponse* response) {
  v1::LineageCheckpoint& start = *response->add_checkpoints();
  start.set_name("checkpoints/c3");
  start.set_architecture("architectures/NetB");
  start.mutable_origin()->mutable_warm_start()->add_sources("checkpoints/c1");
  start.mutable_origin()->mutable_warm_start()->set_device("cpu");
  v1::LineageCheckpoint& upload = *response->add_checkpoints();
  upload.set_name("checkpoints/c1");
  upload.mutable_origin()->mutable_upload()->add_files("net_a.pt");
  upload.mutable_origin()->mutable_upload()->set_format("torch-zip");
}

class LineageTest : public ToolTest {
 protected:
  LineageTest() {
    methods().get_lineage = [this](const auto& request, auto* response) {
      EXPECT_EQ(request.name(), "aliases/a");
      *response = lineage_;
      return grpc::Status::OK;
    };
  }

  v1::GetLineageResponse lineage_;
};

TEST_F(LineageTest, TensorsThatCameTheSameWayAreToldOfTogether) {
  AddCheckpoints(&lineage_);
  for (const char* key : {"a.weight", "a.bias", "b.weight", "b.bias"}) {
    AddRenamed(key, &lineage_);
  }
  v1::LineageStep& fresh = AddStep(*lineage_.add_tensors(), "c3", "head",
                                   v1::LINEAGE_KIND_INITIALIZED);
  fresh.set_outcome(v1::TARGET_OUTCOME_INITIALIZED);
  fresh.set_initializer("uniform");
  fresh.set_seed(7);
  const Ran ran = Run({"lineage", "aliases/a"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            R"(CHECKPOINT      ARCHITECTURE  ORIGIN
checkpoints/c3  NetB          warm start from checkpoints/c1; seed 0; on cpu
checkpoints/c1                upload of net_a.pt (torch-zip)

4 tensors: a.weight, a.bias, b.weight and 1 more
  checkpoints/c3: renamed, --strip-prefix module.
  <- checkpoints/c1 module.*: uploaded in net_a.pt

head
  checkpoints/c3: initialized, uniform, seed 7
)");
}

TEST_F(LineageTest, EachIsToldByItselfWhereThatIsAsked) {
  AddCheckpoints(&lineage_);
  AddRenamed("a.weight", &lineage_);
  AddRenamed("a.bias", &lineage_);
  EXPECT_THAT(Run({"lineage", "aliases/a", "--each"}).out,
              HasSubstr("a.bias\n"
                        "  checkpoints/c3: renamed, --strip-prefix module.\n"
                        "  <- checkpoints/c1 module.a.bias: uploaded"));
}

// An average of two, one of which was made of the other.
void AddAveraged(const std::string& key, v1::GetLineageResponse* response) {
  v1::TensorLineage& tensor = *response->add_tensors();
  v1::LineageStep& average =
      AddStep(tensor, "c3", key, v1::LINEAGE_KIND_LOADED);
  average.set_outcome(v1::TARGET_OUTCOME_AVERAGED);
  average.set_derivation(
      absl::StrCat("0.5 * ", key, " + 0.5 * old.", key, ", of alpha"));
  average.add_sources(1);
  average.add_sources(2);
  v1::LineageStep& cast = AddStep(tensor, "c2", key, v1::LINEAGE_KIND_LOADED);
  cast.set_outcome(v1::TARGET_OUTCOME_CAST);
  cast.set_dtype("float16");
  cast.add_sources(2);
  AddStep(tensor, "c1", "old." + key, v1::LINEAGE_KIND_DELETED);
}

TEST_F(LineageTest, SeveralSourcesStandBelowAndATensorIsToldOnce) {
  AddAveraged("a", &lineage_);
  EXPECT_THAT(
      Run({"lineage", "aliases/a"}).out,
      HasSubstr("\na\n"
                "  checkpoints/c3: averaged, 0.5 * a + 0.5 * old.a, of alpha\n"
                "    <- checkpoints/c2: cast to float16\n"
                "    <- checkpoints/c1 old.a: deleted since\n"
                "    <- checkpoints/c1 old.a: as above\n"));
}

TEST_F(LineageTest, WhatKeysDoNotShareIsAStarInDerivationsToo) {
  AddAveraged("a", &lineage_);
  AddAveraged("x.b", &lineage_);
  EXPECT_THAT(
      Run({"lineage", "aliases/a"}).out,
      HasSubstr("2 tensors: a, x.b\n"
                "  checkpoints/c3: averaged, 0.5 * * + 0.5 * old.*, of alpha\n"
                "    <- checkpoints/c2: cast to float16\n"
                "    <- checkpoints/c1 old.*: deleted since\n"));
}

TEST_F(LineageTest, PositionsThatAreNoneAreLeftAlone) {
  v1::TensorLineage& tensor = *lineage_.add_tensors();
  v1::LineageStep& step = AddStep(tensor, "c3", "a", v1::LINEAGE_KIND_LOADED);
  step.add_sources(-1);
  step.add_sources(5);
  step.add_sources(0);
  EXPECT_EQ(Run({"lineage", "aliases/a"}).exit_code, 0);
}

TEST_F(LineageTest, PagesAreGatheredAndNameEachCheckpointOnce) {
  methods().get_lineage = [](const auto& request, auto* response) {
    EXPECT_THAT(request.keys(), ElementsAre("a.*", "b.*"));
    AddCheckpoints(response);
    AddRenamed(request.page_token().empty() ? "a.weight" : "b.weight",
               response);
    if (request.page_token().empty()) response->set_next_page_token("1");
    return grpc::Status::OK;
  };
  const Ran ran =
      Run({"lineage", "aliases/a", "--key", "a.*", "--key=b.*", "--json"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("\"module.b.weight\""));
  const std::string name = "\"name\": \"checkpoints/c1\"";
  const size_t first = ran.out.find(name);
  ASSERT_NE(first, std::string::npos);
  EXPECT_THAT(ran.out.substr(first + 1), Not(HasSubstr(name)));
}

}  // namespace
}  // namespace warmstart::client
