#include "server/format/torch/torch_tar_reader.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/format/hand_made.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using hand_made::Dict;
using hand_made::Floats;
using hand_made::Global;
using hand_made::Int;
using hand_made::List;
using hand_made::Number;
using hand_made::Tar;
using hand_made::Text;
using hand_made::Tuple;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

// The three files, in pieces that tests replace.
struct Parts {
  std::string storage_count = Int(1);
  std::string storage =
      Tuple({Int(10), Text("cpu"), Global("torch", "FloatStorage")});
  std::string storage_size = Number(4, 8);
  std::string floats = Floats({1, 2, 3, 4});
  std::string views = List({Tuple({Int(11), Int(10), Int(1), Int(3)})});
  std::string tensor_count = Int(1);
  std::string tensor =
      Tuple({Int(20), Int(11), Global("torch", "FloatTensor")});
  std::string rank = Number(1, 4);
  std::string sizes = Number(2, 8);
  std::string strides = Number(2, 8);
  std::string offset = Number(0, 8);
  std::string pickle = Dict({{Text("w"), "P20\n"}});

  std::string File() const {
    return Tar({{"sys_info", ""},
                {"pickle", pickle + "."},
                {"tensors", absl::StrCat(tensor_count, ".", tensor, ".", rank,
                                         Number(0, 4), sizes, strides, offset)},
                {"storages", absl::StrCat(storage_count, ".", storage, ".",
                                          storage_size, floats, views, ".")}});
  }
};

absl::StatusOr<FileContents> Read(const std::string& bytes) {
  return ReadTorchTar({"test.pt", bytes});
}

void ExpectRefused(const Parts& parts, const std::string& message) {
  EXPECT_THAT(Read(parts.File()).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
}

TEST(TorchTarReaderTest, TensorsViewTheirStorages) {
  const std::string bytes = Parts().File();
  EXPECT_TRUE(LooksLikeTorchTar(bytes));
  ASSERT_OK_AND_ASSIGN(const FileContents contents, Read(bytes));
  EXPECT_EQ(contents.format, "torch-tar");
  ASSERT_THAT(contents.tensors, SizeIs(1));
  const FileTensor& tensor = contents.tensors[0];
  EXPECT_EQ(tensor.key, "w");
  EXPECT_EQ(tensor.element_offset, 1);
  EXPECT_THAT(tensor.strides, ElementsAre(2));
  const FileStorage& storage = contents.storages[tensor.storage];
  EXPECT_EQ(bytes.substr(storage.offset, storage.num_bytes),
            Floats({1, 2, 3, 4}));
}

TEST(TorchTarReaderTest, LyingStoragesAreRefused) {
  Parts parts;
  parts.storage_size = Number(1 << 20, 8);
  ExpectRefused(parts, "a storage of 4194304 bytes reaches past its end");
  parts.storage_size = Number(static_cast<uint64_t>(-1), 8);
  ExpectRefused(parts, "a storage of -4 bytes");
  parts.storage_size = Number(uint64_t{1} << 62, 8);
  ExpectRefused(parts, "unknown class or size");
  parts = Parts();
  parts.storage = Tuple({Int(10), Text("cpu"), Global("torch", "OddStorage")});
  ExpectRefused(parts, "unknown class or size");
  parts.storage = Int(1);
  ExpectRefused(parts, "no tuple of three");
  parts = Parts();
  parts.storage_count = Int(int64_t{1} << 40);
  ExpectRefused(parts, "no sane count");
  parts.storage_count = Int(-1);
  ExpectRefused(parts, "no sane count");
}

TEST(TorchTarReaderTest, LyingViewsAreRefused) {
  Parts parts;
  for (const auto& [offset, size] : std::vector<std::pair<int64_t, int64_t>>{
           {1, 4}, {-1, 1}, {0, -1}, {5, 0}, {INT64_MAX, INT64_MAX}}) {
    parts.views = List({Tuple({Int(11), Int(10), Int(offset), Int(size)})});
    ExpectRefused(parts, "the view 11 lies outside of storage");
  }
  parts.views = List({Tuple({Int(11), Int(99), Int(0), Int(1)})});
  ExpectRefused(parts, "its storage 99 is not in the file");
  parts.views = List({Tuple({Int(10), Int(10), Int(0), Int(1)})});
  ExpectRefused(parts, "two storages have the number 10");
  parts.views = List({Int(1)});
  ExpectRefused(parts, "no tuple of four");
  parts.views = Int(1);
  ExpectRefused(parts, "are no list");
}

TEST(TorchTarReaderTest, LyingTensorsAreRefused) {
  Parts parts;
  parts.sizes = Number(3, 8);
  ExpectRefused(parts, "tensor 'w': its element 4 lies outside");
  parts.sizes = Number(static_cast<uint64_t>(-1), 8);
  ExpectRefused(parts, "negative size");
  parts = Parts();
  parts.rank = Number(65, 4);
  ExpectRefused(parts, "a tensor of 65 dimensions");
  parts.rank = Number(0xFFFFFFFF, 4);
  ExpectRefused(parts, "a tensor of -1 dimensions");
  parts.rank = Number(2, 4);
  ExpectRefused(parts, "a number is cut short");
}

TEST(TorchTarReaderTest, UnknownReferencesAreNoTensors) {
  Parts parts;
  parts.pickle = Dict({{Text("w"), "P20\n"},
                       {Text("other"), "P21\n"},
                       {Text("text"), "Pabc\n"}});
  ASSERT_OK_AND_ASSIGN(const FileContents contents, Read(parts.File()));
  EXPECT_THAT(contents.tensors, SizeIs(1));
  EXPECT_THAT(contents.skipped, SizeIs(2));
}

TEST(TorchTarReaderTest, OtherArchivesAreRefused) {
  EXPECT_THAT(Read(Tar({{"pickle", "N."}})).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("has no file 'storages'")));
}

}  // namespace
}  // namespace warmstart::format
