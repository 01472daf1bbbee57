// Reads every file that make_testdata.py had PyTorch write, and compares what
// is found with what was saved.

#include <algorithm>
#include <fstream>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/format/reader.h"
#include "server/model/digest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using Json = nlohmann::json;

constexpr char kFolder[] = WARMSTART_FORMAT_TESTDATA;

std::string ReadWholeFile(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  EXPECT_TRUE(stream) << path;
  std::ostringstream bytes;
  bytes << stream.rdbuf();
  return bytes.str();
}

struct Golden {
  Json expected;

  friend void PrintTo(const Golden& golden, std::ostream* stream) {
    *stream << golden.expected["file"];
  }
};

std::vector<Golden> Goldens() {
  std::vector<Golden> goldens;
  for (const Json& expected :
       Json::parse(ReadWholeFile(absl::StrCat(kFolder, "/expected.json")))) {
    goldens.push_back({expected});
  }
  return goldens;
}

class GoldenTest : public ::testing::TestWithParam<Golden> {
 protected:
  GoldenTest()
      : name_(GetParam().expected["file"].get<std::string>()),
        bytes_(ReadWholeFile(absl::StrCat(kFolder, "/", name_))),
        files_({FileView{name_, bytes_}}) {}

  Json Describe(const FileContents& contents, const FileTensor& tensor) {
    Hasher hasher;
    int64_t size = 0;
    EXPECT_OK(
        ForEachPiece(contents, files_, tensor, [&](absl::string_view piece) {
          hasher.Update(piece);
          size += static_cast<int64_t>(piece.size());
          return absl::OkStatus();
        }));
    EXPECT_EQ(size, tensor.spec.num_bytes()) << tensor.key;
    const auto sizes = tensor.spec.shape().sizes();
    return {{"key", tensor.key},
            {"dtype", std::string(DTypeName(tensor.spec.dtype()))},
            {"shape", std::vector<int64_t>(sizes.begin(), sizes.end())},
            {"sha256", hasher.Finish().ToHex()}};
  }

  const std::string name_;
  const std::string bytes_;
  const std::vector<FileView> files_;
};

TEST_P(GoldenTest, HoldsWhatWasSaved) {
  const Json& expected = GetParam().expected;
  const absl::StatusOr<FileContents> contents = ReadFiles(files_);
  if (!expected["error"].is_null()) {
    EXPECT_THAT(contents, testing::StatusIs(
                              absl::StatusCode::kInvalidArgument,
                              HasSubstr(expected["error"].get<std::string>())));
    EXPECT_THAT(std::string(contents.status().message()), HasSubstr(name_));
    return;
  }
  ASSERT_OK(contents);
  EXPECT_EQ(contents->format, expected["format"].get<std::string>());

  Json tensors = Json::array();
  for (const FileTensor& tensor : contents->tensors) {
    tensors.push_back(Describe(*contents, tensor));
  }
  if (expected.value("any_order", false)) {
    std::vector<Json> sorted = expected["tensors"];
    std::sort(sorted.begin(), sorted.end());
    std::sort(tensors.begin(), tensors.end());
    EXPECT_EQ(tensors, Json(sorted));
  } else {
    EXPECT_EQ(tensors, expected["tensors"]);
  }
  EXPECT_EQ(Json(contents->subtrees), expected["subtrees"]);

  std::vector<Json> versions;
  for (const ModuleVersion& version : contents->module_versions) {
    versions.push_back({version.path, version.version});
  }
  EXPECT_EQ(Json(versions), expected["module_versions"]);

  if (expected["metadata"].is_null()) {
    EXPECT_EQ(contents->metadata_json, "");
  } else if (expected["metadata"] != "any") {
    EXPECT_EQ(Json::parse(contents->metadata_json), expected["metadata"]);
  }

  std::vector<std::string> paths;
  for (const SkippedValue& skipped : contents->skipped) {
    paths.push_back(skipped.path);
  }
  ASSERT_EQ(contents->skipped.size(), expected["skipped"].size())
      << ::testing::PrintToString(paths);
  for (size_t i = 0; i < contents->skipped.size(); ++i) {
    const Json& skipped = expected["skipped"][i];
    EXPECT_EQ(contents->skipped[i].path, skipped[0].get<std::string>());
    EXPECT_THAT(contents->skipped[i].reason,
                StartsWith(skipped[1].get<std::string>()));
  }
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenTest, ::testing::ValuesIn(Goldens()),
                         [](const ::testing::TestParamInfo<Golden>& info) {
                           return absl::StrReplaceAll(
                               info.param.expected["file"].get<std::string>(),
                               {{".", "_"}});
                         });

}  // namespace
}  // namespace warmstart::format
