#include "server/format/pickle/pickle_vm.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::warmstart::testing::StatusIs;

// A string literal with its NULs.
template <size_t kSize>
std::string Raw(const char (&literal)[kSize]) {
  return std::string(literal, kSize - 1);
}

class PickleVmTest : public ::testing::Test {
 protected:
  // Reads `bytes` and a STOP.
  absl::StatusOr<PickleId> Load(std::string bytes) {
    bytes_ = std::move(bytes) + '.';
    absl::StatusOr<PickleVm::Result> result = PickleVm(bytes_, &heap_).Load(0);
    if (!result.ok()) return result.status();
    EXPECT_EQ(result->end, bytes_.size());
    return result->value;
  }

  void ExpectError(std::string bytes, absl::string_view message) {
    EXPECT_THAT(Load(bytes), StatusIs(absl::StatusCode::kInvalidArgument,
                                      HasSubstr(std::string(message))));
  }

  void ExpectInt(const std::string& bytes, int64_t expected) {
    ASSERT_OK_AND_ASSIGN(const PickleId id, Load(bytes));
    ASSERT_EQ(heap_.kind(id), PickleKind::kInt);
    EXPECT_EQ(heap_.Int(id), expected);
  }

  void ExpectText(const std::string& bytes, PickleKind kind,
                  const std::string& expected) {
    ASSERT_OK_AND_ASSIGN(const PickleId id, Load(bytes));
    ASSERT_EQ(heap_.kind(id), kind);
    EXPECT_EQ(heap_.Text(id), expected);
  }

  std::string bytes_;
  PickleHeap heap_;
};

TEST_F(PickleVmTest, IntegersOfAllProtocolsAreRead) {
  ExpectInt("I-12\n", -12);
  ExpectInt("L99L\n", 99);
  ExpectInt(Raw("J\xfe\xff\xff\xff"), -2);
  ExpectInt("K\xff", 255);
  ExpectInt("M\x01\x02", 513);
  ExpectInt(Raw("\x8a\x00"), 0);
  ExpectInt("\x8a\x01\xff", -1);
  ExpectInt(Raw("\x8b\x02\x00\x00\x00\x00\x80"), -32768);
}

TEST_F(PickleVmTest, LargeIntegersAreDecimalText) {
  ExpectText("L119547037146038801333356L\n", PickleKind::kBigInt,
             "119547037146038801333356");
  ExpectText("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19",
             PickleKind::kBigInt, "119547037146038801333356");
}

TEST_F(PickleVmTest, ConstantsAndFloatsAreRead) {
  for (const auto& [bytes, expected] :
       std::vector<std::pair<std::string, bool>>{{"\x88", true},
                                                 {"\x89", false},
                                                 {"I01\n", true},
                                                 {"I00\n", false}}) {
    ASSERT_OK_AND_ASSIGN(const PickleId id, Load(bytes));
    ASSERT_EQ(heap_.kind(id), PickleKind::kBool);
    EXPECT_EQ(heap_.Bool(id), expected);
  }
  ASSERT_OK_AND_ASSIGN(const PickleId none, Load("N"));
  EXPECT_EQ(heap_.kind(none), PickleKind::kNone);
  ASSERT_OK_AND_ASSIGN(const PickleId binary,
                       Load(Raw("G\xc0\x04\x00\x00\x00\x00\x00\x00")));
  EXPECT_EQ(heap_.Float(binary), -2.5);
  ASSERT_OK_AND_ASSIGN(const PickleId text, Load("F1e3\n"));
  EXPECT_EQ(heap_.Float(text), 1000);
  ASSERT_OK_AND_ASSIGN(const PickleId infinite, Load("F-inf\n"));
  EXPECT_EQ(heap_.Float(infinite), -std::numeric_limits<double>::infinity());
}

TEST_F(PickleVmTest, TextAndBytesOfAllProtocolsAreRead) {
  ExpectText("S'a\\x41'\n", PickleKind::kString, "aA");
  ExpectText("V\\u00e9\n", PickleKind::kString, "é");
  ExpectText("U\x02hi", PickleKind::kString, "hi");
  ExpectText(Raw("T\x02\x00\x00\x00hi"), PickleKind::kString, "hi");
  ExpectText(Raw("X\x02\x00\x00\x00hi"), PickleKind::kString, "hi");
  ExpectText("\x8c\x02hi", PickleKind::kString, "hi");
  ExpectText(Raw("\x8d\x02\x00\x00\x00\x00\x00\x00\x00hi"), PickleKind::kString,
             "hi");
  ExpectText("C\x02hi", PickleKind::kBytes, "hi");
  ExpectText(Raw("B\x02\x00\x00\x00hi"), PickleKind::kBytes, "hi");
  ExpectText(Raw("\x8e\x02\x00\x00\x00\x00\x00\x00\x00hi"), PickleKind::kBytes,
             "hi");
  ExpectText(Raw("\x96\x02\x00\x00\x00\x00\x00\x00\x00hi"), PickleKind::kBytes,
             "hi");
}

TEST_F(PickleVmTest, ContainersHoldTheirItems) {
  const PickleId one = heap_.AddInt(1);
  const PickleId two = heap_.AddInt(2);
  for (const char* bytes : {"K\1K\2\x86", "(K\1K\2t", "](K\1K\2e", "]K\1aK\2a",
                            "(K\1K\2l", "\x8f(K\1K\2\x90", "(K\1K\2\x91",
                            "}K\1K\2s", "}(K\1K\2u", "(K\1K\2d"}) {
    ASSERT_OK_AND_ASSIGN(const PickleId id, Load(bytes));
    EXPECT_THAT(heap_.Items(id), ElementsAre(one, two)) << bytes;
  }
  ASSERT_OK_AND_ASSIGN(const PickleId triple, Load("K\1K\2N\x87"));
  EXPECT_THAT(heap_.Items(triple), SizeIs(3));
  for (const char* bytes : {")", "]", "}", "\x8f", "(t", "(l", "(d", "(\x91"}) {
    ASSERT_OK_AND_ASSIGN(const PickleId id, Load(bytes));
    EXPECT_THAT(heap_.Items(id), IsEmpty()) << bytes;
  }
}

TEST_F(PickleVmTest, CallsAreRecordedAndNotMade) {
  for (const char* bytes :
       {"cos\nsystem\nU\2ls\x85R", "cos\nsystem\nU\2ls\x85\x81",
        "(U\2lsios\nsystem\n", "(cos\nsystem\nU\2lso",
        "cos\nsystem\nU\2ls\x85}\x92", "\x8c\2os\x8c\6system\x93U\2ls\x85R"}) {
    ASSERT_OK_AND_ASSIGN(const PickleId id, Load(bytes));
    ASSERT_EQ(heap_.kind(id), PickleKind::kObject) << bytes;
    const PickleObject& object = heap_.Object(id);
    ASSERT_EQ(heap_.kind(object.callable), PickleKind::kGlobal);
    EXPECT_EQ(heap_.Global(object.callable).module, "os");
    EXPECT_EQ(heap_.Global(object.callable).name, "system");
    ASSERT_THAT(heap_.Items(object.arguments), SizeIs(1)) << bytes;
    EXPECT_EQ(heap_.Text(heap_.Items(object.arguments)[0]), "ls");
    EXPECT_EQ(object.state, kNoPickleId);
  }
}

TEST_F(PickleVmTest, ObjectsKeepTheirStateAndItems) {
  ASSERT_OK_AND_ASSIGN(const PickleId id,
                       Load("ca\nB\n)\x81K\1aK\2K\3s(K\4K\5uK\7b"));
  const PickleObject& object = heap_.Object(id);
  EXPECT_THAT(heap_.Items(object.list_items), ElementsAre(heap_.AddInt(1)));
  EXPECT_THAT(heap_.Items(object.dict_items),
              ElementsAre(heap_.AddInt(2), heap_.AddInt(3), heap_.AddInt(4),
                          heap_.AddInt(5)));
  EXPECT_EQ(heap_.Int(object.state), 7);
}

TEST_F(PickleVmTest, PersistentIdsAreKept) {
  ASSERT_OK_AND_ASSIGN(const PickleId binary, Load("U\1aQ"));
  ASSERT_EQ(heap_.kind(binary), PickleKind::kPersistent);
  EXPECT_EQ(heap_.Text(heap_.Persistent(binary)), "a");
  ASSERT_OK_AND_ASSIGN(const PickleId line, Load("P123\n"));
  EXPECT_EQ(heap_.Text(heap_.Persistent(line)), "123");
}

TEST_F(PickleVmTest, TheMemoGivesTheSameValueAgain) {
  // An index may not be larger than the pickle so far.
  const std::string before = "(((((11111";
  for (const std::string& bytes : {Raw("]q\5h\5\x86"), Raw("]p5\ng5\n\x86"),
                                   Raw("]\x94h\0\x86"), Raw("]2\x86")}) {
    ASSERT_OK_AND_ASSIGN(const PickleId id, Load(before + bytes));
    ASSERT_THAT(heap_.Items(id), SizeIs(2));
    EXPECT_EQ(heap_.Items(id)[0], heap_.Items(id)[1]);
  }
  ASSERT_OK_AND_ASSIGN(const PickleId self, Load(Raw("]r\0\0\0\0j\0\0\0\0a")));
  EXPECT_THAT(heap_.Items(self), ElementsAre(self));
}

TEST_F(PickleVmTest, PopsDropValuesAndMarks) {
  ExpectInt(
      "K\1K\2"
      "0",
      1);
  ExpectInt("K\1(0", 1);
  ExpectInt(
      "K\1(K\2K\3"
      "1",
      1);
}

TEST_F(PickleVmTest, FramesAndProtocolsAreRead) {
  ExpectInt(Raw("\x80\x05\x95\x02\x00\x00\x00\x00\x00\x00\x00K\x07"), 7);
  ExpectError("\x80\x06N", "unknown pickle protocol 6, at byte 0");
  ExpectError(Raw("\x80\x05\x95\xff\x00\x00\x00\x00\x00\x00\x00N"),
              "a frame reaches past the end, at byte 2");
}

TEST_F(PickleVmTest, SeveralPicklesAreReadOneByOne) {
  const std::string bytes = Raw("K\1q\0.K\2q\0h\0\x86.");
  PickleVm vm(bytes, &heap_);
  ASSERT_OK_AND_ASSIGN(const PickleVm::Result first, vm.Load(0));
  EXPECT_EQ(heap_.Int(first.value), 1);
  ASSERT_OK_AND_ASSIGN(const PickleVm::Result second, vm.Load(first.end));
  EXPECT_EQ(heap_.Int(heap_.Items(second.value)[1]), 2);
  EXPECT_EQ(second.end, bytes.size());
}

TEST_F(PickleVmTest, UnderflowIsRefusedWithItsOffset) {
  ExpectError("", "stack underflow, at byte 0");
  ExpectError("N0", "stack underflow, at byte 2");
  for (const char* bytes :
       {"0", "2", "\x85", "N\x86", "NN\x87", "R", "NR", "b", "a", "Na", "s",
        "NNs", "Q", "\x81", "NN\x92", "q\1", "\x94", "\x93", "N\x93"}) {
    ExpectError(bytes, "stack underflow");
  }
  // Values below a mark are out of reach.
  ExpectError("NN(\x86", "stack underflow");
  ExpectError("](Na", "stack underflow");
}

TEST_F(PickleVmTest, MissingMarksAreRefused) {
  for (const char* bytes :
       {"t", "l", "d", "]e", "}u", "1", "o", "\x90", "\x91", "ia\nb\n"}) {
    ExpectError(bytes, "no mark");
  }
}

TEST_F(PickleVmTest, WrongTypesAreRefused) {
  ExpectError("N(Ne", "items for a value that takes none");
  ExpectError("}Na", "items for a value that takes none");
  ExpectError("]NNs", "keys for a value that takes none");
  ExpectError("}Nb", "a state for a value that takes none");
  ExpectError("}(Nu", "a key without a value");
  ExpectError("(Nd", "a key without a value");
  ExpectError("(o", "an object has no class");
  ExpectError("NN\x93", "the name of a class is no text");
}

TEST_F(PickleVmTest, BadLiteralsAreRefused) {
  ExpectError("Iabc\n", "bad integer");
  ExpectError("L\n", "bad integer");
  ExpectError("Fabc\n", "bad number");
  ExpectError("Sabc\n", "bad text literal");
  ExpectError("V\\u1\n", "bad text literal");
  ExpectError("gx\n", "bad memo index");
  ExpectError("Np-1\n", "bad memo index");
  ExpectError("I5", "a line has no end, at byte 0");
}

TEST_F(PickleVmTest, LyingSizesAreRefused) {
  ExpectError(Raw("X\xff\xff\xff\xff"), "it needs 4294967295 bytes");
  ExpectError("\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
              "it needs 18446744073709551615 bytes");
  ExpectError("U\x09hi", "it needs 9 bytes where 3 are left, at byte 0");
  ExpectError(Raw("\x8b\xff\xff\xff\x7f"), "bytes where");
}

TEST_F(PickleVmTest, MemoIndicesBeyondThePickleAreRefused) {
  ExpectError("Nr\xff\xff\xff\xff", "a memo index is out of all bounds");
  ExpectError("Np18446744073709551615\n", "a memo index is out of all bounds");
  ExpectError("h\1", "nothing is memoized as 1");
  ExpectError(Raw("Nq\1h\0"), "nothing is memoized as 0");
}

TEST_F(PickleVmTest, WhatNeedsTheWritersProcessIsRefused) {
  ExpectError("\x82\1", "extension");
  ExpectError("\x97", "buffers that are not in the file");
  ExpectError("N\x98", "buffers that are not in the file");
}

TEST_F(PickleVmTest, UnknownOpcodesAreRefused) {
  ExpectError("N\xff", "unknown opcode 0xff, at byte 1");
}

TEST_F(PickleVmTest, AnEndWithoutStopIsRefused) {
  PickleVm vm("NN", &heap_);
  EXPECT_THAT(vm.Load(0), StatusIs(absl::StatusCode::kInvalidArgument,
                                   HasSubstr("without a STOP, at byte 2")));
  EXPECT_THAT(vm.Load(2), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(PickleVmTest, OperationsAreLimited) {
  const std::string endless(PickleVm::kMaxOperations + 1, 'N');
  EXPECT_THAT(PickleVm(endless, &heap_).Load(0),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("more than 33554432 operations")));
}

TEST_F(PickleVmTest, DeepNestingNeedsNoStack) {
  std::string bytes(1'000'000, ']');
  bytes.append(999'999, 'a');
  EXPECT_OK(Load(std::move(bytes)));
}

TEST_F(PickleVmTest, EveryTruncationIsRefused) {
  const std::string pickle =
      Raw("\x80\x02}q\0(U\1aK\1M\1\1J\1\0\0\0N\x86G?\xf0\0\0\0\0\0\0ca\nb\n)R"
          "]q\1(\x88\x89"
          "ebX\1\0\0\0b\x8a\2\1\1u.");
  EXPECT_OK(PickleVm(pickle, &heap_).Load(0));
  for (size_t size = 0; size < pickle.size(); ++size) {
    const std::string cut = pickle.substr(0, size);
    EXPECT_THAT(PickleVm(cut, &heap_).Load(0),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << size;
  }
}

}  // namespace
}  // namespace warmstart::format
