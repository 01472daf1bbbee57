#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/format/safetensors/safetensors_reader.h"
#include "server/format/writer.h"
#include "tests/format/sample_checkpoints.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::warmstart::testing::StatusIs;

constexpr absl::StatusCode kPrecondition =
    absl::StatusCode::kFailedPrecondition;

std::string Write(const SampleCheckpoint& sample) {
  absl::StatusOr<FileLayout> layout = LayoutSafetensorsFile(sample.manifest());
  EXPECT_OK(layout);
  return layout.ok() ? sample.Assemble(*layout) : "";
}

std::vector<std::string> KeysOf(const std::string& file) {
  absl::StatusOr<FileContents> contents = ReadSafetensors({"f", file});
  EXPECT_OK(contents);
  std::vector<std::string> keys;
  if (!contents.ok()) return keys;
  for (const FileTensor& tensor : contents->tensors) keys.push_back(tensor.key);
  return keys;
}

TEST(SafetensorsWriterTest, WhatIsWrittenIsReadBack) {
  for (const SampleCheckpoint& sample :
       {EveryTypeSample(true), SharedStoragesSample(), OddKeysSample(),
        ManyKeysSample(500)}) {
    const std::string file = Write(sample);
    ASSERT_OK_AND_ASSIGN(const FileContents contents,
                         ReadSafetensors({"f", file}));
    EXPECT_EQ(contents.metadata_json, R"({"format":"pt"})");
    ASSERT_EQ(contents.tensors.size(), sample.manifest().entries.size());
    for (const ManifestEntry& entry : sample.manifest().entries) {
      const auto tensor = std::find_if(
          contents.tensors.begin(), contents.tensors.end(),
          [&entry](const FileTensor& t) { return t.key == entry.key; });
      ASSERT_NE(tensor, contents.tensors.end()) << entry.key;
      EXPECT_EQ(tensor->spec, entry.spec) << entry.key;
      const FileStorage& storage = contents.storages[tensor->storage];
      EXPECT_EQ(file.substr(storage.offset, storage.num_bytes),
                sample.Blob(entry.digest))
          << entry.key;
    }
  }
}

TEST(SafetensorsWriterTest, WiderTypesComeFirstAndAllIsAligned) {
  SampleCheckpoint sample("");
  sample.Add("byte", DType::kUint8, {3}, 1);
  sample.Add("half", DType::kFloat16, {3}, 2);
  sample.Add("float a", DType::kFloat32, {3}, 3);
  sample.Add("double", DType::kFloat64, {3}, 4);
  sample.Add("float b", DType::kFloat32, {3}, 5);
  const std::string file = Write(sample);
  EXPECT_THAT(KeysOf(file),
              ElementsAre("double", "float a", "float b", "half", "byte"));
  ASSERT_OK_AND_ASSIGN(const FileContents contents,
                       ReadSafetensors({"f", file}));
  for (const FileTensor& tensor : contents.tensors) {
    EXPECT_EQ(contents.storages[tensor.storage].offset %
                  DTypeSize(tensor.spec.dtype()),
              0)
        << tensor.key;
  }
}

TEST(SafetensorsWriterTest, ModelOfOneTypeKeepsItsOrder) {
  SampleCheckpoint sample("");
  for (absl::string_view key : {"z", "a", "m"}) {
    sample.Add(key, DType::kFloat32, {1}, 1);
  }
  EXPECT_THAT(KeysOf(Write(sample)), ElementsAre("z", "a", "m"));
}

TEST(SafetensorsWriterTest, NoEntriesGiveAFileWithoutTensors) {
  EXPECT_THAT(KeysOf(Write(EmptySample())), IsEmpty());
}

TEST(SafetensorsWriterTest, TypeThatTheFormatLacksIsNamed) {
  SampleCheckpoint sample("");
  sample.Add("fine", DType::kFloat32, {1}, 1);
  sample.Add("phase", DType::kComplex128, {1}, 2);
  EXPECT_THAT(LayoutSafetensorsFile(sample.manifest()),
              StatusIs(kPrecondition,
                       AllOf(HasSubstr("'phase'"), HasSubstr("complex128"),
                             HasSubstr(".pt file"))));
}

TEST(SafetensorsWriterTest, ReservedKeyIsRefused) {
  SampleCheckpoint sample("");
  sample.Add("__metadata__", DType::kFloat32, {1}, 1);
  EXPECT_THAT(LayoutSafetensorsFile(sample.manifest()),
              StatusIs(kPrecondition, HasSubstr("'__metadata__'")));
}

TEST(SafetensorsWriterTest, HeaderPastTheCapIsRefused) {
  Manifest manifest;
  for (int i = 0; i < 101; ++i) {
    manifest.entries.push_back({std::string(1'000'000, 'k') + absl::StrCat(i)});
  }
  EXPECT_THAT(LayoutSafetensorsFile(manifest),
              StatusIs(kPrecondition, HasSubstr("101 tensors")));
}

TEST(SafetensorsWriterTest, DataPastAllBoundsIsRefused) {
  SampleCheckpoint sample("");
  sample.AddHuge("a", int64_t{1} << 62);
  sample.AddHuge("b", int64_t{1} << 62);
  EXPECT_THAT(LayoutSafetensorsFile(sample.manifest()),
              StatusIs(kPrecondition, HasSubstr("'b': the file would be too")));
}

}  // namespace
}  // namespace warmstart::format
