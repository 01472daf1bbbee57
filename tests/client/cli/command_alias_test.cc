#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/cli/tool_fixture.h"

namespace warmstart::client {
namespace {

class AliasTest : public ToolTest {
 protected:
  AliasTest() { setenv("TZ", "UTC", 1); }
};

TEST_F(AliasTest, SetPointsTheAliasToTheHandle) {
  methods().set_alias = [](const auto& request, auto* alias) {
    alias->set_name("aliases/" + request.name());
    alias->set_checkpoint(request.checkpoint());
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"alias", "set", "prod", "checkpoints/c1"}).out,
            "aliases/prod -> checkpoints/c1\n");
  EXPECT_EQ(
      nlohmann::json::parse(
          Run({"alias", "set", "p", "checkpoints/c1", "--json"}).out)["name"],
      "aliases/p");
}

TEST_F(AliasTest, DeleteNamesIt) {
  std::string deleted;
  methods().delete_alias = [&](const auto& request, auto*) {
    deleted = request.name();
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"alias", "delete", "prod"}).out, "deleted alias prod\n");
  EXPECT_EQ(deleted, "prod");
}

TEST_F(AliasTest, ListIsATable) {
  methods().list_aliases = [](const auto&, auto* response) {
    v1::Alias& alias = *response->add_aliases();
    alias.set_name("aliases/prod");
    alias.set_checkpoint("checkpoints/c1");
    alias.mutable_update_time()->set_seconds(1'000'000'000);
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"alias", "list"}).out,
            "ALIAS         CHECKPOINT      SET\n"
            "aliases/prod  checkpoints/c1  2001-09-09 01:46:40\n");
}

TEST_F(AliasTest, NoneIsToldToPeopleAlone) {
  methods().list_aliases = [](const auto&, auto*) { return grpc::Status::OK; };
  const Ran ran = Run({"alias", "list"});
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(ran.err, "no aliases\n");
}

}  // namespace
}  // namespace warmstart::client
