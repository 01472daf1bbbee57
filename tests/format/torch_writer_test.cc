#include <string>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/format/writer.h"
#include "tests/format/sample_checkpoints.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

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
