// Replays what once broke a reader: regressions/<fuzzer>/*. Each is named after
// what was wrong.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "gtest/gtest.h"
#include "tests/fuzz/targets.h"

namespace warmstart::fuzz {
namespace {

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

class RegressionsTest : public ::testing::TestWithParam<Target> {};

TEST_P(RegressionsTest, AreHandled) {
  const std::filesystem::path folder =
      std::filesystem::path(WARMSTART_REGRESSIONS_DIR) /
      std::string(GetParam().name);
  // Whatever comes, nothing at all comes too.
  GetParam().run("");
  if (!std::filesystem::exists(folder)) return;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path());
    GetParam().run(ReadFile(entry.path()));
  }
}

INSTANTIATE_TEST_SUITE_P(AllFuzzers, RegressionsTest,
                         ::testing::ValuesIn(Targets().begin(),
                                             Targets().end()),
                         [](const auto& info) {
                           return std::string(info.param.name);
                         });

}  // namespace
}  // namespace warmstart::fuzz
