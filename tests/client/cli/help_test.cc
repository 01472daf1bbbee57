#include "client/cli/help.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmstart::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(HelpTest, GeneralHelpListsEveryCommand) {
  for (const Command* command : Commands()) {
    EXPECT_THAT(GeneralHelp(),
                HasSubstr(absl::StrCat("\n  ", command->name, " ")));
  }
}

TEST(HelpTest, EveryCommandHasAUsageLineAndAnExampleOfItself) {
  for (const Command* command : Commands()) {
    const std::string help = CommandHelp(*command);
    EXPECT_THAT(help,
                StartsWith(absl::StrCat("Usage: warmstart ", command->name)));
    EXPECT_THAT(help.substr(help.find("\nExample:\n")),
                HasSubstr(absl::StrCat("  warmstart ", command->name)));
  }
}

TEST(HelpTest, EveryFlagIsExplained) {
  for (const Command* command : Commands()) {
    for (const Flag& flag : command->AllFlags()) {
      EXPECT_FALSE(flag.help.empty()) << command->name << " --" << flag.name;
      EXPECT_THAT(CommandHelp(*command),
                  HasSubstr(absl::StrCat("--", flag.name)));
    }
  }
}

TEST(HelpTest, FlagsOfACommandHaveNamesOfTheirOwn) {
  for (const Command* command : Commands()) {
    const std::vector<Flag> flags = command->AllFlags();
    for (const Flag& a : flags) {
      for (const Flag& b : flags) {
        if (&a == &b) continue;
        EXPECT_NE(a.name, b.name) << command->name;
        EXPECT_TRUE(a.letter == 0 || a.letter != b.letter) << command->name;
      }
    }
  }
}

TEST(HelpTest, LinesFitATerminal) {
  std::vector<std::string> texts = {GeneralHelp(), GroupHelp("alias")};
  for (const Command* command : Commands()) {
    texts.push_back(CommandHelp(*command));
  }
  for (const std::string& text : texts) {
    for (absl::string_view line : absl::StrSplit(text, '\n')) {
      EXPECT_LE(DisplayWidth(line), 80) << line;
    }
  }
}

TEST(HelpTest, GroupHelpListsItsCommandsAlone) {
  EXPECT_THAT(GroupHelp("alias"),
              AllOf(HasSubstr("alias set"), HasSubstr("alias delete"),
                    HasSubstr("alias list"), Not(HasSubstr("architectures"))));
}

TEST(HelpTest, ChoicesAndLettersAreShown) {
  EXPECT_THAT(CommandHelp(kDownloadCommand),
              AllOf(HasSubstr("-o, --output FILE"),
                    HasSubstr("--format torch|safetensors")));
}

}  // namespace
}  // namespace warmstart::client
