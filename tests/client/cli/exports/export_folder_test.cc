#include "client/cli/exports/export_folder.h"

#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/testing/test_files.h"
#include "tests/testing/status_matchers.h"
#include "tests/testing/temp_dir.h"

namespace warmstart::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

const std::string kDigest(64, 'a');

class ExportFolderTest : public ::testing::Test {
 protected:
  static v1::ExportedCheckpoint Exported(const std::string& name,
                                         int64_t seconds) {
    v1::ExportedCheckpoint exported;
    exported.mutable_checkpoint()->set_name(name);
    exported.mutable_checkpoint()->mutable_create_time()->set_seconds(seconds);
    exported.mutable_checkpoint()->mutable_report()->set_summary("all matched");
    for (const char* label : {"c", "a", "d", "b"}) {
      (*exported.mutable_checkpoint()->mutable_labels())[label] = label;
    }
    exported.mutable_manifest()->add_entries()->set_key("w");
    return exported;
  }

  absl::Status Write(const std::string& digest, const std::string& bytes) {
    TensorWriter writer(folder_);
    absl::Status status = writer.Begin(digest, bytes.size());
    if (!status.ok()) return status;
    status.Update(writer.Append(bytes));
    status.Update(writer.End());
    return status;
  }

  testing::TempDir dir_;
  const std::string path_ = dir_.Join("export");
  const ExportFolder folder_ = ExportFolder::Create(path_).value();
};

TEST_F(ExportFolderTest, ACheckpointComesBack) {
  const v1::ExportedCheckpoint exported = Exported("checkpoints/x1", 5);
  ASSERT_OK(folder_.WriteCheckpoint(exported));
  ASSERT_OK_AND_ASSIGN(const v1::ExportedCheckpoint back,
                       folder_.ReadCheckpoint("checkpoints/x1"));
  EXPECT_EQ(back.DebugString(), exported.DebugString());
  EXPECT_THAT(folder_.ReadCheckpoint("checkpoints/x2").status(),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(ExportFolderTest, EqualCheckpointsAreEqualFiles) {
  ASSERT_OK(folder_.WriteCheckpoint(Exported("checkpoints/x1", 5)));
  const std::string first = ReadFile(path_ + "/checkpoints/x1.json");
  for (int i = 0; i < 10; ++i) {
    ASSERT_OK(folder_.WriteCheckpoint(Exported("checkpoints/x1", 5)));
    EXPECT_EQ(ReadFile(path_ + "/checkpoints/x1.json"), first);
  }
  EXPECT_THAT(first, HasSubstr("\n"));
}

TEST_F(ExportFolderTest, CheckpointsAreListedOldestFirst) {
  ASSERT_OK(folder_.WriteCheckpoint(Exported("checkpoints/a", 3)));
  ASSERT_OK(folder_.WriteCheckpoint(Exported("checkpoints/c", 1)));
  ASSERT_OK(folder_.WriteCheckpoint(Exported("checkpoints/b", 1)));
  WriteFile(path_ + "/checkpoints/README", "not one");
  ASSERT_OK_AND_ASSIGN(const std::vector<v1::Checkpoint> listed,
                       folder_.ListCheckpoints());
  std::vector<std::string> names;
  for (const v1::Checkpoint& checkpoint : listed) {
    names.push_back(checkpoint.name());
    EXPECT_FALSE(checkpoint.has_report());
  }
  EXPECT_THAT(names,
              ElementsAre("checkpoints/b", "checkpoints/c", "checkpoints/a"));
}

TEST_F(ExportFolderTest, AnArchitectureComesBack) {
  v1::Architecture architecture;
  architecture.set_name("architectures/Net/versions/2");
  architecture.add_entries()->set_key("w");
  ASSERT_OK(folder_.WriteArchitecture(architecture));
  ASSERT_OK_AND_ASSIGN(const std::optional<v1::Architecture> back,
                       folder_.ReadArchitecture(architecture.name()));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->DebugString(), architecture.DebugString());
  ASSERT_OK_AND_ASSIGN(
      const std::optional<v1::Architecture> none,
      folder_.ReadArchitecture("architectures/Net/versions/1"));
  EXPECT_EQ(none, std::nullopt);
}

TEST_F(ExportFolderTest, ATensorIsFoundOnceItIsWhole) {
  ASSERT_OK_AND_ASSIGN(std::optional<LocalBlob> found,
                       folder_.FindTensor(kDigest));
  EXPECT_EQ(found, std::nullopt);
  TensorWriter writer(folder_);
  ASSERT_OK(writer.Begin(kDigest, 5));
  ASSERT_OK(writer.Append("12"));
  // Begun again, for the connection was lost.
  ASSERT_OK(writer.Begin(kDigest, 5));
  ASSERT_OK(writer.Append("12"));
  ASSERT_OK(writer.Append("345"));
  EXPECT_EQ(folder_.FindTensor(kDigest).value(), std::nullopt);
  ASSERT_OK(writer.End());
  ASSERT_OK_AND_ASSIGN(found, folder_.FindTensor(kDigest));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->digest, kDigest);
  EXPECT_EQ(found->bytes.size, 5);
  EXPECT_EQ(ReadFile(found->bytes.path).substr(found->bytes.offset), "12345");
  EXPECT_EQ(writer.tensors_written(), 1);
  EXPECT_EQ(writer.bytes_written(), 5);
}

TEST_F(ExportFolderTest, AFileThatIsNoTensorIsDataLoss) {
  for (const char* bytes : {"", "short", "12345678"}) {
    WriteFile(path_ + "/tensors/" + kDigest + ".safetensors", bytes);
    EXPECT_THAT(folder_.FindTensor(kDigest).status(),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr(kDigest)))
        << bytes;
  }
}

TEST_F(ExportFolderTest, NoNameLeadsOutOfTheFolder) {
  for (const char* name :
       {"checkpoints/..", "checkpoints/../x", "checkpoints/", "x",
        "checkpoints/.hidden", "checkpoints/a/b", "aliases/a"}) {
    EXPECT_THAT(folder_.WriteCheckpoint(Exported(name, 1)),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << name;
  }
  for (const char* name :
       {"architectures/../versions/1", "architectures/a/versions/..",
        "architectures/a/versions/1/2", "architectures/a", "a/versions/1",
        "architectures//versions/1"}) {
    v1::Architecture architecture;
    architecture.set_name(name);
    EXPECT_THAT(folder_.WriteArchitecture(architecture),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << name;
  }
  for (const std::string& digest :
       {std::string("../x"), std::string(64, '.'), std::string(64, 'A'),
        std::string(63, 'a')}) {
    EXPECT_THAT(Write(digest, ""), StatusIs(absl::StatusCode::kInvalidArgument))
        << digest;
  }
}

TEST_F(ExportFolderTest, AFileIsOfTheCheckpointThatItIsNamedAfter) {
  ASSERT_OK(folder_.WriteCheckpoint(Exported("checkpoints/a", 3)));
  WriteFile(path_ + "/checkpoints/b.json",
            ReadFile(path_ + "/checkpoints/a.json"));
  EXPECT_THAT(
      folder_.ListCheckpoints().status(),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("b.json")));
}

TEST_F(ExportFolderTest, AFolderThatIsNoExportIsNotFound) {
  EXPECT_OK(ExportFolder::Open(path_));
  EXPECT_THAT(ExportFolder::Open(dir_.Join("none")).status(),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none")));
  EXPECT_THAT(ExportFolder::Open(path_ + "/tensors").status(),
              StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace warmstart::client
