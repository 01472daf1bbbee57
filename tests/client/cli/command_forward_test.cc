#include <cmath>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/cli/tool_fixture.h"
#include "tests/client/testing/test_files.h"

namespace warmstart::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ForwardCommandTest : public ToolTest {
 protected:
  ForwardCommandTest() {
    response_.set_checkpoint("checkpoints/c1");
    response_.set_architecture("architectures/NetB");
    response_.set_device("cpu");
    SetLogits({0.5, -1, 4, 8, 2, 2});
    methods().forward = [this](const auto& request, auto* response) {
      request_ = request;
      *response = response_;
      return grpc::Status::OK;
    };
  }

  void SetLogits(const std::vector<float>& values) {
    response_.clear_outputs();
    v1::ForwardOutput* output = response_.add_outputs();
    output->set_name("output");
    output->mutable_tensor()->set_dtype("float32");
    output->mutable_tensor()->add_shape(2);
    output->mutable_tensor()->add_shape(3);
    output->mutable_tensor()->set_data(values.data(),
                                       values.size() * sizeof(float));
  }

  v1::ForwardRequest request_;
  v1::ForwardResponse response_;
};

TEST_F(ForwardCommandTest, OutputsAreShownWithTheirRangeAndClasses) {
  response_.set_was_resident(true);
  response_.add_notes("something to know");
  const Ran ran = Run({"forward", "aliases/b", "--random-input", "2x3x32x32"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out,
            "ran checkpoints/c1 as architectures/NetB on cpu, where it was "
            "resident\n"
            "output  float32 [2, 3]\n"
            "  min -1, max 8, mean 2.58333\n"
            "  values 0.5, -1, 4, 8, 2, 2\n"
            "  argmax 2, 0\n"
            "note: something to know\n");
  EXPECT_EQ(request_.checkpoint(), "aliases/b");
}

TEST_F(ForwardCommandTest, JsonHasAllValues) {
  SetLogits({0.5, -1, 4, 8, 2, NAN});
  const Ran ran = Run({"forward", "a", "--random-input", "1", "--json"});
  const nlohmann::json json = nlohmann::json::parse(ran.out);
  EXPECT_EQ(json["checkpoint"], "checkpoints/c1");
  EXPECT_EQ(json["was_resident"], false);
  const nlohmann::json& output = json["outputs"][0];
  EXPECT_EQ(output["shape"], nlohmann::json({2, 3}));
  EXPECT_EQ(output["max"], 8);
  EXPECT_EQ(output["values"].size(), 6);
  EXPECT_TRUE(output["values"][5].is_null());
}

TEST_F(ForwardCommandTest, RandomInputsSayShapeTypeNameAndSeed) {
  const Ran ran =
      Run({"forward", "a", "--random-input", "query=1x16", "--random-input",
           "tokens=2,8:int64", "--seed", "7", "--high", "1000", "--device",
           "cpu", "--architecture", "Net/versions/2"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  ASSERT_EQ(request_.inputs_size(), 2);
  EXPECT_EQ(request_.inputs(0).name(), "query");
  const v1::RandomTensor& first = request_.inputs(0).random();
  EXPECT_THAT(first.shape(), ElementsAre(1, 16));
  EXPECT_EQ(first.dtype(), "");
  EXPECT_EQ(first.seed(), 7);
  EXPECT_FALSE(first.has_high());
  const v1::RandomTensor& second = request_.inputs(1).random();
  EXPECT_THAT(second.shape(), ElementsAre(2, 8));
  EXPECT_EQ(second.dtype(), "int64");
  EXPECT_EQ(second.seed(), 8);
  EXPECT_EQ(second.high(), 1000);
  EXPECT_EQ(request_.architecture(), "Net/versions/2");
  EXPECT_EQ(request_.device(), "cpu");
}

TEST_F(ForwardCommandTest, AFileIsSentAsItIs) {
  const std::string path = dir_.Join("batch.pt");
  WriteFile(path, VariedBytes(3000));
  EXPECT_EQ(Run({"forward", "a", "--input", path}).exit_code, 0);
  EXPECT_TRUE(request_.input_file() == VariedBytes(3000));
  EXPECT_EQ(request_.output_format(), v1::FILE_FORMAT_UNSPECIFIED);
}

TEST_F(ForwardCommandTest, OutputsAreWrittenToAFile) {
  response_.clear_outputs();
  response_.set_output_file("the file");
  const std::string path = dir_.Join("logits.safetensors");
  const Ran ran = Run({"forward", "a", "--random-input", "1", "-o", path,
                       "--format", "safetensors"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ReadFile(path), "the file");
  EXPECT_THAT(ran.out, HasSubstr("wrote the outputs to " + path + ": 8 B"));
  EXPECT_EQ(request_.output_format(), v1::FILE_FORMAT_SAFETENSORS);
}

TEST_F(ForwardCommandTest, WhatCannotBeAnInputIsAUsageError) {
  for (const std::vector<std::string>& flags :
       std::vector<std::vector<std::string>>{
           {},
           {"--random-input", "1", "--input", "f"},
           {"--random-input", "ax3"},
           {"--random-input", "-1"},
           {"--random-input", "=1"},
           {"--random-input", "1x"},
           {"--random-input", "1", "--format", "torch"}}) {
    std::vector<std::string> args = {"forward", "a"};
    args.insert(args.end(), flags.begin(), flags.end());
    EXPECT_EQ(Run(args).exit_code, 2) << ::testing::PrintToString(flags);
  }
  EXPECT_EQ(Run({"forward", "a", "--input", dir_.Join("none")}).exit_code, 1);
}

}  // namespace
}  // namespace warmstart::client
