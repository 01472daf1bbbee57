#include "server/format/read_one.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/format/hand_made.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using hand_made::Dict;
using hand_made::Floats;
using hand_made::FloatVector;
using hand_made::Text;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;
using ::warmstart::testing::StatusIs;

std::string FormatOf(const std::string& bytes) {
  const absl::StatusOr<FileContents> contents = ReadOne({"f", bytes});
  EXPECT_OK(contents.status());
  return contents.ok() ? contents->format : "";
}

void ExpectRefused(const std::string& bytes, const std::string& message) {
  EXPECT_THAT(ReadOne({"my.pt", bytes}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(StartsWith("'my.pt': "), HasSubstr(message))));
}

TEST(ReadOneTest, FormatsAreRecognisedByTheirContent) {
  const std::string value = Dict({{Text("w"), FloatVector("0", 1)}});
  EXPECT_EQ(FormatOf(hand_made::TorchZip(value, {{"0", Floats({1})}})),
            "torch-zip");
  EXPECT_EQ(FormatOf(hand_made::TorchLegacy(value, {{"0", 1, Floats({1})}})),
            "torch-legacy");
  EXPECT_EQ(FormatOf(hand_made::Number(2, 8) + "{}"), "safetensors");
  const std::string no_views = hand_made::List({}) + ".";
  EXPECT_EQ(FormatOf(hand_made::Tar(
                {{"storages", "K" + std::string(1, '\0') + "." + no_views},
                 {"tensors", std::string("K\0.", 3)},
                 {"pickle", "}."}})),
            "torch-tar");
}

TEST(ReadOneTest, FileWithoutTensorsIsNoError) {
  ASSERT_OK_AND_ASSIGN(const FileContents contents,
                       ReadOne({"f", hand_made::TorchZip(Dict({}), {})}));
  EXPECT_THAT(contents.tensors, IsEmpty());
}

TEST(ReadOneTest, OtherFilesAreRefusedWithAdvice) {
  ExpectRefused("", "the file is empty");
  ExpectRefused("hello", "the file is no checkpoint");
  ExpectRefused("version https://git-lfs.github.com/spec/v1\noid sha256:1",
                "git lfs pull");
  ExpectRefused("<!DOCTYPE html>", "a web page");
  ExpectRefused("{\"weight_map\": {}}", "the index of a sharded set");
  ExpectRefused("\x1f\x8b\x08", "a gzip file");
  ExpectRefused("\x89HDF\r\n", "an HDF5 file");
  ExpectRefused("GGUF\x03", "a GGUF file");
  ExpectRefused("\x80\x02}.", "a pickle that torch.save did not write");
}

TEST(ReadOneTest, ErrorsOfReadersGetTheFilesName) {
  ExpectRefused("PK\3\4 and no more", "malformed zip");
}

}  // namespace
}  // namespace warmstart::format
