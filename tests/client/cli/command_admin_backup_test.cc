#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/cli/tool_fixture.h"
#include "tests/client/testing/fake_backup.h"
#include "tests/client/testing/test_files.h"

namespace warmstart::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class AdminBackupCommandTest : public ToolTest {
 protected:
  AdminBackupCommandTest() {
    store_.packs = {{PackName('a'), VariedBytes(2048)}};
    store_.catalog = VariedBytes(1024);
    methods().back_up_store = [this](auto* stream) {
      return store_.Answer(*stream);
    };
  }

  FakeBackup store_;
  const std::string backup_ = dir_.Join("backup");
  const std::string data_ = dir_.Join("data");
};

TEST_F(AdminBackupCommandTest, WhatWasDoneIsTold) {
  const Ran first = Run({"admin", "backup", backup_});
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.out,
              AllOf(HasSubstr("backed up to " + backup_ + ": 3.0 KiB"),
                    HasSubstr("fetched 3.0 KiB (1 pack and the catalog), "
                              "reused 0 packs, removed 0 packs\n")));
  EXPECT_THAT(Run({"admin", "backup", backup_}).out,
              HasSubstr("fetched 1.0 KiB (0 packs and the catalog), "
                        "reused 1 pack"));
}

TEST_F(AdminBackupCommandTest, JsonTellsIt) {
  const nlohmann::json json =
      nlohmann::json::parse(Run({"admin", "backup", backup_, "--json"}).out);
  EXPECT_EQ(json["dir"], backup_);
  EXPECT_EQ(json["snapshot_time"], "2024-01-01T00:00:00Z");
  EXPECT_EQ(json["packs_fetched"], 1);
  EXPECT_EQ(json["packs_reused"], 0);
  EXPECT_EQ(json["packs_removed"], 0);
  EXPECT_EQ(json["bytes_fetched"], 3072);
  EXPECT_EQ(json["size_bytes"], 3072);
}

TEST_F(AdminBackupCommandTest, AnotherStoresBackupNeedsReplace) {
  Run({"admin", "backup", backup_});
  store_.packs = {{PackName('b'), "b"}};
  const Ran refused = Run({"admin", "backup", backup_});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("--replace"));
  const Ran replaced = Run({"admin", "backup", backup_, "--replace"});
  EXPECT_EQ(replaced.exit_code, 0) << replaced.err;
  EXPECT_THAT(replaced.out, HasSubstr("removed 1 pack"));
}

TEST_F(AdminBackupCommandTest, AFailureIsToldAsTheServerTellsIt) {
  methods().back_up_store = [](auto*) {
    return grpc::Status(grpc::StatusCode::DATA_LOSS, "pack abc is gone");
  };
  const Ran ran = Run({"admin", "backup", backup_});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("pack abc is gone"));
}

TEST_F(AdminBackupCommandTest, TheFolderIsRequired) {
  EXPECT_EQ(Run({"admin", "backup"}).exit_code, 2);
  EXPECT_EQ(Run({"admin", "restore", backup_}).exit_code, 2);
}

TEST_F(AdminBackupCommandTest, ABackupIsRestoredWithoutAServer) {
  Run({"admin", "backup", backup_});
  env_["WARMSTART_SERVER"] = "localhost:1";
  const Ran ran = Run({"admin", "restore", backup_, data_});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out, "restored " + backup_ + " to " + data_ +
                         ": 3.0 KiB, 1 pack; start it with warmstart-server "
                         "--data-dir " +
                         data_ + "\n");
  EXPECT_TRUE(ReadFile(data_ + "/catalog.sqlite3") == store_.catalog);
  const Ran again = Run({"admin", "restore", backup_, data_});
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_THAT(again.err, HasSubstr("is not empty"));
}

TEST_F(AdminBackupCommandTest, JsonTellsWhatWasRestored) {
  Run({"admin", "backup", backup_});
  const nlohmann::json json = nlohmann::json::parse(
      Run({"admin", "restore", backup_, data_, "--json"}).out);
  EXPECT_EQ(json["dir"], backup_);
  EXPECT_EQ(json["data_dir"], data_);
  EXPECT_EQ(json["packs"], 1);
  EXPECT_EQ(json["size_bytes"], 3072);
}

}  // namespace
}  // namespace warmstart::client
