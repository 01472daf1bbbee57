#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/cli/tool_fixture.h"

namespace warmstart::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ShowTest : public ToolTest {
 protected:
  ShowTest() {
    setenv("TZ", "UTC", 1);
    checkpoint_.set_name("checkpoints/c1");
    checkpoint_.mutable_create_time()->set_seconds(1'000'000'000);
    checkpoint_.set_tensor_count(2);
    checkpoint_.set_size_bytes(2048);
    methods().get_checkpoint = [this](const auto& request, auto* response) {
      EXPECT_EQ(request.view(), v1::CHECKPOINT_VIEW_FULL);
      *response = checkpoint_;
      return grpc::Status::OK;
    };
  }

  v1::Checkpoint checkpoint_;
};

TEST_F(ShowTest, OnlyWhatThereIsIsPrinted) {
  const Ran ran = Run({"show", "aliases/a"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "handle        checkpoints/c1\n"
            "created       2001-09-09 01:46:40\n"
            "size          2 tensors, 2.0 KiB\n");
}

TEST_F(ShowTest, OneThatExpiresSaysWhen) {
  checkpoint_.mutable_expire_time()->set_seconds(1'000'000'060);
  EXPECT_THAT(Run({"show", "aliases/a"}).out,
              HasSubstr("expires       2001-09-09 01:47:40\n"));
}

TEST_F(ShowTest, EverythingIsPrinted) {
  checkpoint_.set_architecture("architectures/NetB");
  checkpoint_.add_aliases("aliases/a");
  (*checkpoint_.mutable_labels())["team"] = "vision";
  auto& origin = *checkpoint_.mutable_origin()->mutable_warm_start();
  origin.add_sources("checkpoints/one");
  origin.add_sources("checkpoints/two");
  checkpoint_.mutable_report()->set_summary("<All keys matched successfully>");
  (*checkpoint_.mutable_metadata()->mutable_fields())["epoch"].set_number_value(
      3);
  const std::string out = Run({"show", "aliases/a"}).out;
  EXPECT_THAT(out, HasSubstr("architecture  NetB\n"));
  EXPECT_THAT(out, HasSubstr("aliases       aliases/a\n"));
  EXPECT_THAT(out, HasSubstr("labels        team=vision\n"));
  EXPECT_THAT(out, HasSubstr("origin        warm start from checkpoints/one, "
                             "checkpoints/two;"));
  EXPECT_THAT(out, HasSubstr("\nmetadata\n{\n \"epoch\": 3\n}\n"));
  EXPECT_THAT(out, HasSubstr("\n<All keys matched successfully>\n"));
  EXPECT_THAT(out, HasSubstr("\nsource [1] checkpoints/one\n"));
}

TEST_F(ShowTest, LongMetadataIsFoldedOnATerminal) {
  for (int i = 0; i < 100; ++i) {
    (*checkpoint_.mutable_metadata()->mutable_fields())["k" + std::to_string(i)]
        .set_number_value(i);
  }
  EXPECT_THAT(Run({"show", "x"}).out, Not(HasSubstr("more; --all")));
  terminal_ = true;
  EXPECT_THAT(Run({"show", "x"}).out, HasSubstr("... 42 more; --all"));
  EXPECT_THAT(Run({"show", "x", "--all"}).out, Not(HasSubstr("more; --all")));
}

TEST_F(ShowTest, JsonIsTheCheckpoint) {
  EXPECT_EQ(
      nlohmann::json::parse(Run({"show", "x", "--json"}).out)["size_bytes"],
      "2048");
}

class ShowTensorsTest : public ToolTest {
 protected:
  ShowTensorsTest() {
    methods().get_manifest = [](const auto& request, v1::Manifest* manifest) {
      const bool first = request.page_token().empty();
      v1::ManifestEntry& entry = *manifest->add_entries();
      entry.set_key(first ? "fc1.weight" : "fc1.tied");
      entry.set_dtype("float32");
      entry.add_shape(3);
      entry.set_digest("ab12");
      entry.set_shared_storage(1);
      if (first) manifest->set_next_page_token("2");
      return grpc::Status::OK;
    };
  }
};

TEST_F(ShowTensorsTest, PagesAreOneTable) {
  EXPECT_EQ(Run({"show", "x", "--tensors"}).out,
            "KEY         DTYPE    SHAPE  SHARED  SHA-256\n"
            "fc1.weight  float32  [3]    #1      ab12\n"
            "fc1.tied    float32  [3]    #1      ab12\n");
}

TEST_F(ShowTensorsTest, JsonIsTheWholeManifest) {
  const nlohmann::json json =
      nlohmann::json::parse(Run({"show", "x", "--tensors", "--json"}).out);
  EXPECT_EQ(json["entries"].size(), 2);
  EXPECT_EQ(json["next_page_token"], "");
}

}  // namespace
}  // namespace warmstart::client
