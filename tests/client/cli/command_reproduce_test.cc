#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/cli/tool_fixture.h"

namespace warmstart::client {
namespace {

using ::testing::HasSubstr;

v1::ReproduceCheckpointResponse Result(const std::string& checkpoint,
                                       v1::ReproductionVerdict verdict) {
  v1::ReproduceCheckpointResponse result;
  result.set_checkpoint("checkpoints/" + checkpoint);
  result.set_verdict(verdict);
  return result;
}

v1::ReproduceCheckpointResponse Agreeing() {
  v1::ReproduceCheckpointResponse result =
      Result("c3", v1::REPRODUCTION_VERDICT_AGREES);
  result.set_key_count(10);
  result.mutable_origin()->mutable_initialization()->set_device("cpu");
  return result;
}

class ReproduceTest : public ToolTest {
 protected:
  void AnswerWith(std::vector<v1::ReproduceCheckpointResponse> results,
                  grpc::Status status = grpc::Status::OK) {
    methods().reproduce_checkpoint = [results = std::move(results), status](
                                         const auto& request, auto* writer) {
      EXPECT_EQ(request.name(), "aliases/a");
      EXPECT_EQ(request.direct(), results.size() == 1);
      for (const auto& result : results) writer->Write(result);
      return status;
    };
  }
};

TEST_F(ReproduceTest, AgreementIsSuccess) {
  AnswerWith({Agreeing()});
  const Ran ran = Run({"reproduce", "aliases/a", "--direct"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "agrees   checkpoints/c3: 10 keys; fresh model; seed 0; on cpu\n");
}

TEST_F(ReproduceTest, ADifferenceIsFailureAndNamesTheKeys) {
  v1::ReproduceCheckpointResponse differing =
      Result("c1", v1::REPRODUCTION_VERDICT_DIFFERS);
  differing.set_key_count(10);
  differing.set_differing_key_count(2);
  differing.add_differing_keys("fc3.weight");
  differing.set_reason("its record was altered");
  AnswerWith({Agreeing(), differing});
  const Ran ran = Run({"reproduce", "aliases/a"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.out,
              HasSubstr("differs  checkpoints/c1: 2 of 10 keys differ: "
                        "fc3.weight, ...; its record was altered\n"));
  EXPECT_THAT(ran.err, HasSubstr("1 of 2 checkpoints differ"));
}

TEST_F(ReproduceTest, WhatCouldNotBeMadeIsFailureToo) {
  v1::ReproduceCheckpointResponse lost =
      Result("c1", v1::REPRODUCTION_VERDICT_CANNOT);
  lost.set_reason("it was deleted");
  AnswerWith({Agreeing(), lost});
  const Ran ran = Run({"reproduce", "aliases/a"});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.out, HasSubstr("cannot   checkpoints/c1: it was deleted\n"));
  EXPECT_THAT(ran.err, HasSubstr("1 of 2 checkpoints could not be made again"));
}

TEST_F(ReproduceTest, JsonIsAListAlsoWhereTheStreamBreaksOff) {
  AnswerWith({Agreeing(), Agreeing()});
  EXPECT_EQ(nlohmann::json::parse(Run({"reproduce", "aliases/a", "--json"}).out)
                .size(),
            2);
  AnswerWith({Agreeing(), Agreeing()},
             {grpc::StatusCode::RESOURCE_EXHAUSTED, "too many"});
  const Ran broken = Run({"reproduce", "aliases/a", "--json"});
  EXPECT_EQ(broken.exit_code, 1);
  EXPECT_EQ(nlohmann::json::parse(broken.out).size(), 2);
  AnswerWith({}, {grpc::StatusCode::NOT_FOUND, "no such checkpoint"});
  EXPECT_EQ(Run({"reproduce", "aliases/a", "--json"}).out, "[]\n");
}

}  // namespace
}  // namespace warmstart::client
