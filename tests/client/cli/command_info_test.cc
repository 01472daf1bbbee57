#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/cli/tool_fixture.h"

namespace warmstart::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class InfoCommandTest : public ToolTest {
 protected:
  InfoCommandTest() {
    info_.set_version("1.2.3");
    info_.set_torch_version("2.11.0");
    info_.set_default_device("auto");
    info_.set_cuda_problem("NVIDIA driver not found");
    v1::DeviceInfo* cpu = info_.add_devices();
    cpu->set_name("cpu");
    cpu->set_description("Some CPU, 2 cores");
    cpu->set_memory_bytes(int64_t{8} << 30);
    cpu->mutable_resident_models()->set_hit_count(1234);
    methods().get_server_info = [this](const auto&, auto* response) {
      *response = info_;
      return grpc::Status::OK;
    };
  }

  v1::ServerInfo info_;
};

TEST_F(InfoCommandTest, TheServerAndItsDevicesAreShown) {
  const Ran ran = Run({"info"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, AllOf(HasSubstr("version       1.2.3\n"),
                             HasSubstr("torch         2.11.0\n"),
                             HasSubstr("none; NVIDIA driver not found"),
                             HasSubstr("8.0 GiB"), HasSubstr("1,234"),
                             HasSubstr("Some CPU, 2 cores"),
                             Not(HasSubstr("RESIDENT MODEL"))));
}

TEST_F(InfoCommandTest, ResidentModelsAreListed) {
  v1::ResidentModel* model =
      info_.mutable_devices(0)->mutable_resident_models()->add_models();
  model->set_checkpoint("checkpoints/c1");
  model->set_architecture("architectures/NetB");
  model->set_size_bytes(2048);
  EXPECT_THAT(Run({"info"}).out,
              AllOf(HasSubstr("RESIDENT MODEL"), HasSubstr("checkpoints/c1"),
                    HasSubstr("2.0 KiB")));
}

TEST_F(InfoCommandTest, TheStoreAndItsLimitsAreShown) {
  EXPECT_THAT(Run({"info"}).out, HasSubstr("stored        0 B, 0 checkpoints"));
  v1::StoreInfo* store = info_.mutable_store();
  store->set_stored_bytes(2048);
  store->set_receiving_bytes(512);
  store->set_checkpoint_count(1200);
  store->set_max_bytes(4096);
  store->set_max_checkpoints(2000);
  store->set_max_upload_bytes(1024);
  store->add_retention_rules("run:5");
  store->add_retention_rules("stage=dev:2");
  EXPECT_THAT(
      Run({"info"}).out,
      AllOf(HasSubstr("stored        2.0 KiB of 4.0 KiB and 512 B being "
                      "received, 1,200 of 2,000 checkpoints\n"),
            HasSubstr("upload        up to 1.0 KiB\n"),
            HasSubstr("keeps         run:5 stage=dev:2\n")));
}

TEST_F(InfoCommandTest, DamageIsShownWhereThereIsSome) {
  EXPECT_THAT(Run({"info"}).out, Not(HasSubstr("damaged")));
  info_.mutable_store()->set_damaged_tensor_count(2);
  EXPECT_THAT(
      Run({"info"}).out,
      HasSubstr("damaged       2 tensors; warmstart admin scrub --list\n"));
}

TEST_F(InfoCommandTest, JsonIsTheMessage) {
  const nlohmann::json json =
      nlohmann::json::parse(Run({"info", "--json"}).out);
  EXPECT_EQ(json["torch_version"], "2.11.0");
  EXPECT_EQ(json["devices"][0]["resident_models"]["hit_count"], "1234");
}

}  // namespace
}  // namespace warmstart::client
