#include "client/cli/command_line.h"

#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/cli/tool_fixture.h"

namespace warmstart::client {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class CommandLineTest : public ToolTest {};

TEST_F(CommandLineTest, NothingIsAUsageErrorWithHelp) {
  const Ran ran = Run({});
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_EQ(ran.out, "");
  EXPECT_THAT(ran.err, HasSubstr("Usage: warmstart COMMAND"));
}

TEST_F(CommandLineTest, HelpIsASuccessInAllItsForms) {
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"help"}, {"--help"}, {"-h"}}) {
    const Ran ran = Run(args);
    EXPECT_EQ(ran.exit_code, 0);
    EXPECT_THAT(ran.out, HasSubstr("Usage: warmstart COMMAND"));
    EXPECT_EQ(ran.err, "");
  }
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"help", "alias", "set"},
        {"alias", "set", "--help"},
        {"alias", "set", "x", "-h"},
        {"--help", "alias", "set"}}) {
    const Ran ran = Run(args);
    EXPECT_EQ(ran.exit_code, 0);
    EXPECT_THAT(ran.out, StartsWith("Usage: warmstart alias set NAME HANDLE"));
  }
  EXPECT_THAT(Run({"help", "alias"}).out,
              StartsWith("Usage: warmstart alias COMMAND"));
  EXPECT_EQ(Run({"alias", "--help"}).exit_code, 0);
}

TEST_F(CommandLineTest, UnknownCommandSuggestsTheNearest) {
  const Ran ran = Run({"warmstart"});
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_EQ(ran.out, "");
  EXPECT_THAT(ran.err, StartsWith("warmstart: unknown command warmstart; did "
                                  "you mean warm-start?\n"));
  EXPECT_THAT(Run({"alias", "sett"}).err,
              HasSubstr("unknown command alias sett; did you mean alias set?"));
  EXPECT_EQ(Run({"help", "nothing"}).exit_code, 2);
}

TEST_F(CommandLineTest, GroupAloneIsAUsageError) {
  const Ran ran = Run({"alias"});
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_THAT(ran.err, HasSubstr("alias delete"));
}

TEST_F(CommandLineTest, NumberOfArgumentsIsChecked) {
  const Ran too_few = Run({"alias", "set", "a"});
  EXPECT_EQ(too_few.exit_code, 2);
  EXPECT_THAT(too_few.err, HasSubstr("an argument is missing: warmstart alias "
                                     "set NAME HANDLE"));
  const Ran too_many = Run({"version", "now"});
  EXPECT_EQ(too_many.exit_code, 2);
  EXPECT_THAT(too_many.err,
              HasSubstr("unexpected argument \"now\": warmstart version\n"));
}

TEST_F(CommandLineTest, UsageErrorSaysWhereHelpIs) {
  const Ran ran = Run({"list", "--limt", "3"});
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_EQ(ran.err,
            "warmstart: unknown flag --limt; did you mean --limit?\n"
            "`warmstart help list` tells how it is used.\n");
}

TEST_F(CommandLineTest, UsageErrorIsJsonWithJson) {
  const Ran ran = Run({"list", "--limt", "3", "--json"});
  EXPECT_EQ(ran.exit_code, 2);
  EXPECT_EQ(nlohmann::json::parse(ran.err)["reason"], "USAGE");
}

TEST_F(CommandLineTest, GlobalFlagsMayComeBeforeTheCommand) {
  env_.clear();
  methods().list_aliases = [](const auto&, auto*) { return grpc::Status::OK; };
  for (const std::vector<std::string>& args :
       {std::vector<std::string>{"--server", server_.address(), "--json",
                                 "alias", "list"},
        {"--server=" + server_.address(), "alias", "list", "--json"},
        {"alias", "list", "--json", "--server", server_.address()}}) {
    const Ran ran = Run(args);
    EXPECT_EQ(ran.exit_code, 0) << ran.err;
    EXPECT_TRUE(nlohmann::json::parse(ran.out).contains("aliases"));
  }
}

TEST_F(CommandLineTest, UnknownFlagBeforeTheCommandIsNamed) {
  EXPECT_THAT(Run({"--sever", "x", "list"}).err,
              HasSubstr("unknown flag --sever; did you mean --server?"));
}

TEST_F(CommandLineTest, VersionIsTheProjects) {
  EXPECT_THAT(Run({"version"}).out, StartsWith("warmstart 0."));
  EXPECT_EQ(Run({"--version"}).out, Run({"version"}).out);
  EXPECT_EQ(nlohmann::json::parse(Run({"version", "--json"}).out)["api"],
            "warmstart.v1");
}

TEST_F(CommandLineTest, OutputThatCannotBeWrittenIsAFailure) {
  std::ofstream full("/dev/full");
  if (!full) GTEST_SKIP() << "/dev/full is not there";
  std::ostringstream err;
  Console console{
      .out = full, .err = err, .env = [](const char*) { return std::nullopt; }};
  EXPECT_EQ(RunCommandLine({"version"}, console), 1);
  EXPECT_THAT(err.str(), HasSubstr("cannot write to standard output"));
}

}  // namespace
}  // namespace warmstart::client
