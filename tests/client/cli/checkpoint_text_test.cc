#include "client/cli/checkpoint_text.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmstart::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(CheckpointTextTest, LineNamesItFirst) {
  v1::Checkpoint checkpoint;
  checkpoint.set_name("checkpoints/ab12");
  checkpoint.set_architecture("architectures/NetB");
  checkpoint.set_tensor_count(10);
  checkpoint.set_size_bytes(2048);
  checkpoint.add_aliases("aliases/demo");
  EXPECT_EQ(CheckpointLine(checkpoint),
            "checkpoints/ab12: NetB, 10 tensors, 2.0 KiB, aliases/demo");
  checkpoint.clear_architecture();
  checkpoint.clear_aliases();
  EXPECT_EQ(CheckpointLine(checkpoint),
            "checkpoints/ab12: 10 tensors, 2.0 KiB");
}

TEST(CheckpointTextTest, OriginOfEachKind) {
  v1::Origin origin;
  EXPECT_EQ(OriginText(origin), "");
  origin.mutable_upload()->add_files("a.pt");
  origin.mutable_upload()->add_files("b.pt");
  origin.mutable_upload()->set_format("torch-zip");
  EXPECT_EQ(OriginText(origin), "upload of a.pt, b.pt (torch-zip)");
  origin.mutable_upload()->mutable_delta()->set_size_bytes(2048);
  EXPECT_EQ(OriginText(origin),
            "upload by manifest, which brought 2.0 KiB of it");
  EXPECT_THAT(OriginSources(origin), IsEmpty());
  origin.mutable_initialization()->set_seed(7);
  origin.mutable_initialization()->set_device("cpu");
  EXPECT_EQ(OriginText(origin), "fresh model; seed 7; on cpu");
  origin.mutable_warm_start()->add_sources("checkpoints/x");
  origin.mutable_warm_start()->add_sources("checkpoints/y");
  origin.mutable_warm_start()->set_device("cuda:0");
  EXPECT_EQ(OriginText(origin),
            "warm start from checkpoints/x, checkpoints/y; seed 0; on cuda:0");
  EXPECT_THAT(OriginSources(origin),
              ElementsAre("checkpoints/x", "checkpoints/y"));
}

TEST(CheckpointTextTest, LabelsAreSorted) {
  google::protobuf::Map<std::string, std::string> labels;
  EXPECT_EQ(LabelsText(labels), "");
  labels["b"] = "2";
  labels["a"] = "1";
  EXPECT_EQ(LabelsText(labels), "a=1, b=2");
}

}  // namespace
}  // namespace warmstart::client
