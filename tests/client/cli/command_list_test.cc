#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/cli/tool_fixture.h"

namespace warmstart::client {
namespace {

using ::testing::HasSubstr;

class ListTest : public ToolTest {
 protected:
  ListTest() {
    setenv("TZ", "UTC", 1);
    // Three checkpoints, in pages of as many as are asked for.
    methods().list_checkpoints = [this](const auto& request, auto* response) {
      request_ = request;
      int i = request.page_token().empty() ? 0 : 2;
      for (int n = 0; n < request.page_size() && i < count_; ++n, ++i) {
        v1::Checkpoint& checkpoint = *response->add_checkpoints();
        checkpoint.set_name(absl::StrCat("checkpoints/c", i));
        checkpoint.set_architecture("architectures/NetB");
        checkpoint.set_tensor_count(1234);
        checkpoint.set_size_bytes(2048);
        checkpoint.mutable_create_time()->set_seconds(1'000'000'000);
        (*checkpoint.mutable_labels())["team"] = "vision";
      }
      if (i < count_) response->set_next_page_token("more");
      return grpc::Status::OK;
    };
  }

  int count_ = 3;
  v1::ListCheckpointsRequest request_;
};

TEST_F(ListTest, ThoseThatExpireSayWhen) {
  methods().list_checkpoints = [](const auto&, auto* response) {
    response->add_checkpoints()->set_name("checkpoints/stays");
    v1::Checkpoint& goes = *response->add_checkpoints();
    goes.set_name("checkpoints/goes");
    goes.mutable_expire_time()->set_seconds(1'000'000'000);
    return grpc::Status::OK;
  };
  const Ran ran = Run({"list"});
  EXPECT_THAT(ran.out, HasSubstr("EXPIRES"));
  EXPECT_THAT(ran.out, HasSubstr("2001-09-09 01:46:40"));
}

TEST_F(ListTest, CheckpointsAreATable) {
  count_ = 1;
  const Ran ran = Run({"list"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(
      ran.out,
      "HANDLE          ARCHITECTURE  TENSORS     SIZE  CREATED              "
      "LABELS\n"
      "checkpoints/c0  NetB            1,234  2.0 KiB  2001-09-09 01:46:40  "
      "team=vision\n");
}

TEST_F(ListTest, FiltersAreTheServers) {
  Run({"list", "--architecture", "NetB", "--label", "a=1", "--alias",
       "prod/*"});
  EXPECT_EQ(request_.architecture(), "NetB");
  EXPECT_EQ(request_.labels().at("a"), "1");
  EXPECT_EQ(request_.alias(), "prod/*");
}

TEST_F(ListTest, LimitTellsThatThereAreMore) {
  const Ran ran = Run({"list", "--limit", "2", "-q"});
  EXPECT_EQ(ran.out, "checkpoints/c0\ncheckpoints/c1\n");
  EXPECT_THAT(Run({"list", "--limit", "2"}).err, HasSubstr("There are more"));
  EXPECT_EQ(Run({"list", "--limit", "0", "-q"}).out,
            "checkpoints/c0\ncheckpoints/c1\ncheckpoints/c2\n");
  EXPECT_EQ(Run({"list", "--limit", "18446744073709551615"}).exit_code, 0);
}

TEST_F(ListTest, NoneIsToldToPeopleAlone) {
  count_ = 0;
  const Ran ran = Run({"list"});
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(ran.err, "no checkpoints\n");
}

TEST_F(ListTest, JsonIsOneResponse) {
  const nlohmann::json json =
      nlohmann::json::parse(Run({"list", "--json", "--limit", "2"}).out);
  EXPECT_EQ(json["checkpoints"].size(), 2);
  EXPECT_EQ(json["next_page_token"], "more");
}

}  // namespace
}  // namespace warmstart::client
