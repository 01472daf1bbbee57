#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/cli/tool_fixture.h"

namespace warmstart::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class AdminGcTest : public ToolTest {
 protected:
  AdminGcTest() {
    response_.set_examined_pack_count(1'200);
    response_.set_examined_bytes(int64_t{3} << 30);
    response_.set_live_bytes(int64_t{2} << 30);
    response_.set_rewritten_pack_count(1);
    response_.set_written_pack_count(1);
    response_.set_written_bytes(int64_t{1} << 20);
    response_.set_freed_bytes(int64_t{9} << 20);
    response_.set_catalog_bytes(8192);
    response_.set_catalog_free_bytes(4096);
    AddPack("aaaa", v1::PACK_FATE_REWRITTEN);
    methods().collect_garbage = [this](const auto& request, auto* response) {
      request_ = request;
      *response = response_;
      return grpc::Status::OK;
    };
  }

  void AddPack(const std::string& name, v1::PackFate fate) {
    v1::CollectedPack* pack = response_.add_packs();
    pack->set_name(name);
    pack->set_size_bytes(int64_t{10} << 20);
    pack->set_live_bytes(int64_t{1} << 20);
    pack->set_fate(fate);
  }

  v1::CollectGarbageRequest request_;
  v1::CollectGarbageResponse response_;
};

TEST_F(AdminGcTest, WhatWasDoneIsTold) {
  const Ran ran = Run({"admin", "gc"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "PACK      SIZE     LIVE  FATE\n"
            "aaaa  10.0 MiB  1.0 MiB  rewritten\n"
            "\n"
            "examined      1,200 packs, 3.0 GiB, of which 2.0 GiB live\n"
            "rewritten     1 pack\n"
            "written       1 pack, 1.0 MiB\n"
            "freed         9.0 MiB\n"
            "catalog       8.0 KiB, of which 4.0 KiB free for what comes\n");
  EXPECT_FALSE(request_.dry_run());
  EXPECT_FALSE(request_.has_min_live_share());
  EXPECT_FALSE(request_.has_merge_below_bytes());
  EXPECT_FALSE(request_.has_max_written_bytes());
}

TEST_F(AdminGcTest, FlagsAreSent) {
  const Ran ran = Run({"admin", "gc", "--dry-run", "--max-bytes", "1.5GiB",
                       "--min-live-share=0.75", "--merge-below", "0"});
  EXPECT_THAT(ran.out, AllOf(HasSubstr("would free    9.0 MiB\n"),
                             HasSubstr("dry run       nothing was changed\n"),
                             Not(HasSubstr("freed"))));
  EXPECT_TRUE(request_.dry_run());
  EXPECT_EQ(request_.max_written_bytes(), int64_t{3} << 29);
  EXPECT_EQ(request_.min_live_share(), 0.75);
  EXPECT_TRUE(request_.has_merge_below_bytes());
  EXPECT_EQ(request_.merge_below_bytes(), 0);
}

TEST_F(AdminGcTest, WhatWasLeftIsTold) {
  response_.set_merged_pack_count(2);
  response_.set_damaged_pack_count(1);
  response_.set_over_budget_pack_count(3);
  response_.set_stray_pack_count(4);
  response_.set_freed_bytes(-100);
  AddPack("bbbb", v1::PACK_FATE_MERGED);
  AddPack("cccc", v1::PACK_FATE_DAMAGED);
  AddPack("dddd", v1::PACK_FATE_OVER_BUDGET);
  AddPack("eeee", v1::PACK_FATE_STRAY);
  EXPECT_THAT(Run({"admin", "gc"}).out,
              AllOf(HasSubstr("merged\n"), HasSubstr("left: damaged\n"),
                    HasSubstr("left: over the limit\n"),
                    HasSubstr("removed: nobody's\n"),
                    HasSubstr("merged        2 packs\n"),
                    HasSubstr("damaged       1 pack\n"),
                    HasSubstr("over limit    3 packs\n"),
                    HasSubstr("nobody's      4 packs\n"),
                    HasSubstr("freed         -100 B\n")));
}

TEST_F(AdminGcTest, JsonIsTheMessage) {
  const nlohmann::json json =
      nlohmann::json::parse(Run({"admin", "gc", "--json"}).out);
  EXPECT_EQ(json["freed_bytes"], "9437184");
  EXPECT_EQ(json["packs"][0]["fate"], "PACK_FATE_REWRITTEN");
}

TEST_F(AdminGcTest, ASizeThatIsNoneIsAUsageError) {
  const Ran ran = Run({"admin", "gc", "--max-bytes", "much"});
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_THAT(ran.err, HasSubstr("--max-bytes"));
}

TEST_F(AdminGcTest, AFailureIsTold) {
  methods().collect_garbage = [](const auto&, auto*) {
    return grpc::Status(grpc::StatusCode::ABORTED,
                        "another collection is under way");
  };
  const Ran ran = Run({"admin", "gc"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("another collection is under way"));
}

}  // namespace
}  // namespace warmstart::client
