#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/format/reader.h"
#include "server/format/writer.h"
#include "tests/format/sample_checkpoints.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using ::testing::ElementsAreArray;
using ::testing::IsEmpty;
using ::warmstart::testing::StatusIs;

absl::StatusOr<FileLayout> Layout(const SampleCheckpoint& sample) {
  return LayoutTorchFile(sample.manifest(), [&](const Digest& digest) {
    return absl::StatusOr<uint32_t>(sample.Crc32(digest));
  });
}

TEST(TorchWriterTest, SameManifestGivesTheSameBytes) {
  const SampleCheckpoint sample = SharedStoragesSample();
  ASSERT_OK_AND_ASSIGN(const FileLayout a, Layout(sample));
  ASSERT_OK_AND_ASSIGN(const FileLayout b, Layout(sample));
  EXPECT_EQ(sample.Assemble(a), sample.Assemble(b));
}

std::string ValuesOf(const FileContents& contents, const FileView& file,
                     const FileTensor& tensor) {
  std::string values;
  EXPECT_OK(ForEachPiece(contents, {&file, 1}, tensor,
                         [&values](absl::string_view piece) {
                           absl::StrAppend(&values, piece);
                           return absl::OkStatus();
                         }));
  return values;
}

void ExpectReadBack(const SampleCheckpoint& sample) {
  SCOPED_TRACE(sample.name());
  ASSERT_OK_AND_ASSIGN(const FileLayout layout, Layout(sample));
  const std::string bytes = sample.Assemble(layout);
  const FileView file = {"written.pt", bytes};
  ASSERT_OK_AND_ASSIGN(const FileContents contents, ReadFiles({&file, 1}));
  EXPECT_EQ(contents.format, "torch-zip");
  EXPECT_THAT(contents.skipped, IsEmpty());
  EXPECT_THAT(contents.module_versions,
              ElementsAreArray(sample.manifest().module_versions));
  const std::vector<ManifestEntry>& entries = sample.manifest().entries;
  ASSERT_EQ(contents.tensors.size(), entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    const FileTensor& tensor = contents.tensors[i];
    EXPECT_EQ(tensor.key, entries[i].key);
    EXPECT_EQ(tensor.spec, entries[i].spec) << tensor.key;
    EXPECT_EQ(ValuesOf(contents, file, tensor), sample.Blob(entries[i].digest))
        << tensor.key;
    if (entries[i].view.has_value()) {
      EXPECT_EQ(tensor.strides, entries[i].view->strides) << tensor.key;
    }
  }
}

TEST(TorchWriterTest, WhatIsWrittenIsReadBack) {
  ExpectReadBack(EveryTypeSample(false));
  ExpectReadBack(SharedStoragesSample());
  ExpectReadBack(ModuleSample());
  ExpectReadBack(OddKeysSample());
  ExpectReadBack(ManyKeysSample(1500));
}

TEST(TorchWriterTest, TiedTensorsAreReadBackOnOneStorage) {
  const SampleCheckpoint sample = SharedStoragesSample();
  ASSERT_OK_AND_ASSIGN(const FileLayout layout, Layout(sample));
  const std::string bytes = sample.Assemble(layout);
  const FileView file = {"written.pt", bytes};
  ASSERT_OK_AND_ASSIGN(const FileContents contents, ReadFiles({&file, 1}));
  std::map<std::string, int> storage_of_key;
  for (const FileTensor& tensor : contents.tensors) {
    storage_of_key[tensor.key] = tensor.storage;
  }
  EXPECT_EQ(storage_of_key["tied.a"], storage_of_key["tied.b"]);
  EXPECT_EQ(storage_of_key["tied.a"], storage_of_key["transposed"]);
  EXPECT_EQ(storage_of_key["float8.a"], storage_of_key["float8.as_uint16"]);
  EXPECT_NE(storage_of_key["tied.a"], storage_of_key["own"]);
}

std::string SerializationId(const std::string& file) {
  const size_t record = file.find("archive/.data/serialization_id");
  return file.substr(file.find_first_of("0123456789", record + 30), 40);
}

TEST(TorchWriterTest, SerializationIdFollowsFromTheValues) {
  SampleCheckpoint a("");
  a.Add("x", DType::kFloat32, {2}, 1);
  SampleCheckpoint b("");
  b.Add("x", DType::kFloat32, {2}, 2);
  ASSERT_OK_AND_ASSIGN(const FileLayout layout_a, Layout(a));
  ASSERT_OK_AND_ASSIGN(const FileLayout layout_b, Layout(b));
  const std::string id_a = SerializationId(a.Assemble(layout_a));
  const std::string id_b = SerializationId(b.Assemble(layout_b));
  EXPECT_EQ(id_a.find_first_not_of("0123456789"), std::string::npos);
  EXPECT_NE(id_a, id_b);
}

TEST(TorchWriterTest, SizeIsKnownBeforeAByteIsRead) {
  const SampleCheckpoint sample = EveryTypeSample(false);
  ASSERT_OK_AND_ASSIGN(const FileLayout layout, Layout(sample));
  EXPECT_EQ(layout.num_bytes,
            static_cast<int64_t>(sample.Assemble(layout).size()));
}

TEST(TorchWriterTest, MissingChecksumIsPassedOn) {
  const SampleCheckpoint sample = ModuleSample();
  EXPECT_THAT(LayoutTorchFile(sample.manifest(),
                              [](const Digest&) -> absl::StatusOr<uint32_t> {
                                return absl::NotFoundError("no such blob");
                              }),
              StatusIs(absl::StatusCode::kNotFound, "no such blob"));
}

TEST(TorchWriterTest, ChecksumsOfEmptyStoragesAreNotAskedFor) {
  SampleCheckpoint sample("");
  sample.Add("x", DType::kFloat32, {0}, 1);
  EXPECT_OK(LayoutTorchFile(sample.manifest(),
                            [](const Digest&) -> absl::StatusOr<uint32_t> {
                              return absl::NotFoundError("no such blob");
                            }));
}

}  // namespace
}  // namespace warmstart::format
