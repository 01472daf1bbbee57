#include <google/protobuf/text_format.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/cli/tool_fixture.h"
#include "tests/client/testing/test_files.h"

namespace warmstart::client {
namespace {

using ::testing::HasSubstr;

class ArchitecturesTest : public ToolTest {
 protected:
  ArchitecturesTest() {
    methods().register_architecture = [this](const auto& request,
                                             auto* response) {
      ++registered_;
      *response = request.architecture();
      return grpc::Status::OK;
    };
  }

  int registered_ = 0;
  const std::string file_ = dir_.Join("head.json");
};

TEST_F(ArchitecturesTest, FileIsRegistered) {
  WriteFile(file_, R"({"name": "Head", "entries": [{"key": "a"}]})");
  const Ran ran = Run({"architectures", "register", file_});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out, "registered Head: 1 key\n");
  EXPECT_EQ(registered_, 1);
}

TEST_F(ArchitecturesTest, BadFileIsNotSent) {
  WriteFile(file_, R"({"name": "Head",)");
  const Ran ran = Run({"architectures", "register", file_});
  EXPECT_EQ(ran.exit_code, 1);
  EXPECT_THAT(ran.err, HasSubstr("parse error at line 1, column 17"));
  EXPECT_EQ(registered_, 0);
}

TEST_F(ArchitecturesTest, ShowIsATable) {
  methods().get_architecture = [](const auto& request, auto* architecture) {
    architecture->set_name("architectures/" + request.name());
    architecture->set_built_in(true);
    v1::ArchitectureEntry& entry = *architecture->add_entries();
    entry.set_key("fc.bias");
    entry.add_shape(10);
    entry.mutable_initializer()->mutable_fan_in_uniform()->set_fan_in(84);
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"architectures", "show", "NetB"}).out,
            "NetB: 1 key, built in\n"
            "KEY      KIND       SHAPE  DTYPE    INITIALIZER\n"
            "fc.bias  parameter  [10]   float32  fan_in_uniform(fan_in=84)\n");
  // What is shown can be registered.
  WriteFile(file_, Run({"architectures", "show", "NetB", "--json"}).out);
  EXPECT_EQ(Run({"architectures", "register", file_}).exit_code, 0);
}

TEST_F(ArchitecturesTest, ListIsATable) {
  methods().list_architectures = [](const auto&, auto* response) {
    v1::ArchitectureSummary& summary = *response->add_architectures();
    summary.set_name("architectures/NetA");
    summary.set_entry_count(10);
    summary.set_parameter_count(62006);
    summary.set_size_bytes(248024);
    summary.set_built_in(true);
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"architectures", "list"}).out,
            "ARCHITECTURE  KEYS  PARAMETERS       SIZE  KIND\n"
            "NetA            10      62,006  242.2 KiB  built in\n");
}

TEST_F(ArchitecturesTest, VersionsOfOneAreListed) {
  std::string asked;
  methods().list_architectures = [&](const auto& request, auto* response) {
    asked = request.architecture();
    for (const int version : {12, 2}) {
      v1::ArchitectureSummary& summary = *response->add_architectures();
      summary.set_name(absl::StrCat("architectures/Head/versions/", version));
      summary.set_version(version);
      summary.set_entry_count(2);
    }
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"architectures", "list", "Head"}).out,
            "ARCHITECTURE  VERSION  KEYS  PARAMETERS  SIZE  KIND\n"
            "Head               12     2           0   0 B  registered\n"
            "Head                2     2           0   0 B  registered\n");
  EXPECT_EQ(asked, "Head");
}

TEST_F(ArchitecturesTest, AModuleIsShownAsATree) {
  methods().get_architecture = [](const auto&, auto* architecture) {
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
        R"(name: "architectures/Head/versions/2"
           initial_values: "checkpoints/abc"
           module { type: "Sequential" children { type: "ReLU" } })",
        architecture));
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"architectures", "show", "Head/versions/2"}).out,
            "Head/versions/2: 0 keys\n"
            "initial values: checkpoints/abc\n"
            "Sequential\n"
            "  0  ReLU\n");
}

TEST_F(ArchitecturesTest, FlagsOfARegistrationArePassedOn) {
  v1::RegisterArchitectureRequest sent;
  methods().register_architecture = [&](const auto& request, auto* response) {
    sent = request;
    response->set_name("architectures/Other/versions/3");
    return grpc::Status::OK;
  };
  WriteFile(file_, R"({"name": "Head", "entries": [{"key": "a"}]})");
  EXPECT_EQ(Run({"architectures", "register", file_, "--name", "Other",
                 "--initial-values", "aliases/first", "--dry-run"})
                .out,
            "would be architectures/Other/versions/3: 0 keys\n");
  EXPECT_EQ(sent.architecture().name(), "Other");
  EXPECT_EQ(sent.architecture().initial_values(), "aliases/first");
  EXPECT_TRUE(sent.validate_only());
}

TEST_F(ArchitecturesTest, DeleteIsPassedOn) {
  v1::DeleteArchitectureRequest deleted;
  methods().delete_architecture = [&](const auto& request, auto*) {
    deleted = request;
    return grpc::Status::OK;
  };
  EXPECT_EQ(Run({"architectures", "delete", "Head", "--force"}).out,
            "deleted Head\n");
  EXPECT_EQ(deleted.name(), "Head");
  EXPECT_TRUE(deleted.force());
}

}  // namespace
}  // namespace warmstart::client
