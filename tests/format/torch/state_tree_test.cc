#include "server/format/torch/state_tree.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/format/hand_made.h"
#include "tests/format/loaded_pickle.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::format {
namespace {

using hand_made::Build;
using hand_made::Call;
using hand_made::Dict;
using hand_made::FloatVector;
using hand_made::Global;
using hand_made::Int;
using hand_made::List;
using hand_made::Storage;
using hand_made::Tensor;
using hand_made::Text;
using hand_made::Tuple;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::warmstart::testing::StatusIs;

// Finds every storage, with room for its elements.
class AnyStorage : public StorageSource {
 public:
  explicit AnyStorage(const PickleHeap& heap) : heap_(heap) {}

  absl::StatusOr<ResolvedStorage> Resolve(PickleId id) override {
    absl::StatusOr<PickledStorage> storage = DecodeStorage(heap_, id);
    if (!storage.ok()) return storage.status();
    return ResolvedStorage{
        storage->storage_class,
        {0, 0, storage->size * storage->storage_class.element_size}};
  }

 private:
  const PickleHeap& heap_;
};

absl::StatusOr<FileContents> Read(const std::string& value) {
  const LoadedPickle pickle(value);
  AnyStorage storages(pickle.heap());
  FileContents contents;
  const absl::Status status = ReadStateTree(
      pickle.heap(), pickle.root(), pickle.bytes(),
      static_cast<int64_t>(pickle.bytes().size()), storages, &contents);
  if (!status.ok()) return status;
  return contents;
}

std::vector<std::string> Keys(const FileContents& contents) {
  std::vector<std::string> keys;
  for (const FileTensor& tensor : contents.tensors) keys.push_back(tensor.key);
  return keys;
}

// "path: reason" of each.
std::vector<std::string> Skipped(const FileContents& contents) {
  std::vector<std::string> skipped;
  for (const SkippedValue& value : contents.skipped) {
    skipped.push_back(absl::StrCat(value.path, ": ", value.reason));
  }
  return skipped;
}

void ExpectRefused(const std::string& value, const std::string& message) {
  EXPECT_THAT(Read(value).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
}

const std::string kTensor = FloatVector("0", 2);

std::string Object(const std::string& module, const std::string& name,
                   const std::string& state) {
  return Build(Call(Global(module, name), {}), state);
}

std::string Module(
    const std::vector<std::pair<std::string, std::string>>& parameters,
    const std::vector<std::pair<std::string, std::string>>& modules) {
  return Object("my.models", "Net",
                Dict({{Text("training"), "\x88"},
                      {Text("_parameters"), Dict(parameters)},
                      {Text("_buffers"), Dict({})},
                      {Text("_modules"), Dict(modules)}}));
}

TEST(StateTreeTest, KeysAreThePathsOfTheTensors) {
  ASSERT_OK_AND_ASSIGN(
      const FileContents contents,
      Read(Dict({{Text("a"), Dict({{Text("b.c"), kTensor}, {Int(3), kTensor}})},
                 {Text("list"), List({kTensor, Tuple({kTensor})})},
                 {Text("step"), Int(7)}})));
  EXPECT_THAT(Keys(contents),
              ElementsAre("a.b.c", "a.3", "list.0", "list.1.0"));
  EXPECT_THAT(contents.subtrees, ElementsAre("a"));
  EXPECT_EQ(contents.metadata_json, "{\"step\":7}");
  EXPECT_THAT(contents.skipped, IsEmpty());
}

TEST(StateTreeTest, SubtreesAreThoseThatHoldTensors) {
  ASSERT_OK_AND_ASSIGN(
      const FileContents contents,
      Read(Dict({{Text("plain"), Dict({{Text("x"), Int(1)}})},
                 {Text("a"), Dict({{Text("plain"), Dict({})},
                                   {Text("b"), Dict({{Text("t"), kTensor}})}})},
                 {Text("c"), List({Dict({{Text("t"), kTensor}})})}})));
  EXPECT_THAT(contents.subtrees, ElementsAre("a", "a.b", "c.0"));
}

TEST(StateTreeTest, TheLastOfEqualKeysWins) {
  ASSERT_OK_AND_ASSIGN(const FileContents contents,
                       Read(Dict({{Text("a"), FloatVector("0", 1)},
                                  {Text("b"), kTensor},
                                  {Text("a"), FloatVector("0", 2)}})));
  EXPECT_THAT(Keys(contents), ElementsAre("a", "b"));
  EXPECT_EQ(contents.tensors[0].spec.num_elements(), 2);
}

TEST(StateTreeTest, KeysThatOnlyPrintTheSameCollide) {
  ExpectRefused(Dict({{Text("1"), kTensor}, {Int(1), kTensor}}),
                "two tensors have the key '1'");
  ExpectRefused(
      Dict({{Text("a"), Dict({{Text("b"), kTensor}})}, {Text("a.b"), kTensor}}),
      "two tensors have the key 'a.b'");
  // Plain values are not worth refusing a file for.
  ASSERT_OK_AND_ASSIGN(
      const FileContents contents,
      Read(
          Dict({{Text("t"), kTensor}, {Text("1"), Int(1)}, {Int(1), Int(2)}})));
  EXPECT_EQ(contents.metadata_json, "{\"1\":1}");
  EXPECT_THAT(Skipped(contents), ElementsAre(": second member named '1'"));
}

TEST(StateTreeTest, KeysWithoutTextAreSkipped) {
  ASSERT_OK_AND_ASSIGN(
      const FileContents contents,
      Read(Dict({{Text("t"), kTensor},
                 {Text("a"), Dict({{Tuple({Int(1)}), kTensor}})}})));
  EXPECT_THAT(Keys(contents), ElementsAre("t"));
  EXPECT_THAT(Skipped(contents),
              ElementsAre("a: member whose key is neither text nor a number"));
}

TEST(StateTreeTest, KeyThatIsNoUtf8IsRefusedWithItsOffset) {
  // } ( X and the length come before.
  ExpectRefused(Dict({{Text("a\xff"), kTensor}}),
                "the key 'a\\xff' is no valid UTF-8, at byte 7");
  ExpectRefused(Dict({{Text("t"), kTensor}, {"V\\udc80\n", Int(1)}}),
                "is no valid UTF-8");
}

TEST(StateTreeTest, EmptyKeysAboveTensorsAreRefused) {
  ExpectRefused(Dict({{Text(""), Dict({{Text("a"), kTensor}})}}),
                "an empty key stands above tensors");
  ExpectRefused(Dict({{Text("x"), Dict({{Text(""), kTensor}})}}),
                "an empty key stands above tensors, in 'x'");
  ASSERT_OK_AND_ASSIGN(const FileContents contents,
                       Read(Dict({{Text("t"), kTensor}, {Text(""), Int(1)}})));
  EXPECT_EQ(contents.metadata_json, "{\"\":1}");
}

TEST(StateTreeTest, MalformedTensorsAreRefusedWithTheirKey) {
  ExpectRefused(Dict({{Text("a"), Tensor("N", 0, {1}, {1})}}),
                "tensor 'a': malformed tensor: it has no storage");
  ExpectRefused(
      Dict({{Text("a"), Tensor(Storage("Float", "0", 2), 0, {3}, {1})}}),
      "tensor 'a': its element 2 lies outside of its storage of 2 elements");
  ExpectRefused(
      Dict({{Text("a"), Call(Global("torch._utils", "_rebuild_tensor"), {})}}),
      "malformed tensor: arguments are missing, under the key 'a'");
}

TEST(StateTreeTest, StoragesOfOtherTypesAreSkipped) {
  ASSERT_OK_AND_ASSIGN(
      const FileContents contents,
      Read(Dict({{Text("t"), kTensor},
                 {Text("q"), Tensor(Storage("QInt8", "0", 2), 0, {2}, {1})},
                 {Text("s"), Storage("Float", "0", 2)}})));
  EXPECT_THAT(Skipped(contents),
              ElementsAre("q: tensor of a torch.QInt8Storage",
                          "s: storage without a tensor"));
}

TEST(StateTreeTest, ModuleVersionsStandUnderTheirPaths) {
  const auto version = [](const std::string& number) {
    return Dict({{Text("version"), number}});
  };
  const auto ordered = [&](const std::string& key, const std::string& value) {
    return Build(
        Call(Global("collections", "OrderedDict"), {}) + Text(key) + value +
            "s",
        Dict({{Text("_metadata"), Dict({{Text(""), version(Int(1))},
                                        {Text("bn"), version(Int(2))},
                                        {Text("odd"), version(Text("x"))},
                                        {Text("none"), Dict({})},
                                        {Text("int"), Int(5)}})}}));
  };
  ASSERT_OK_AND_ASSIGN(const FileContents contents,
                       Read(ordered("bn", kTensor)));
  EXPECT_THAT(contents.module_versions,
              ElementsAre(ModuleVersion{"", 1}, ModuleVersion{"bn", 2}));
  EXPECT_THAT(contents.skipped, IsEmpty());
  ASSERT_OK_AND_ASSIGN(const FileContents nested,
                       Read(Dict({{Text("model"), ordered("bn", kTensor)}})));
  EXPECT_THAT(
      nested.module_versions,
      ElementsAre(ModuleVersion{"model", 1}, ModuleVersion{"model.bn", 2}));
}

TEST(StateTreeTest, ModulesAreReadAsTheirStateDict) {
  const std::string net =
      Module({{Text("weight"), kTensor}, {Text("bias"), "N"}},
             {{Text("inner"), Module({{Text("weight"), kTensor}}, {})},
              {Text("none"), "N"}});
  ASSERT_OK_AND_ASSIGN(const FileContents root, Read(net));
  EXPECT_THAT(Keys(root), ElementsAre("weight", "inner.weight"));
  EXPECT_THAT(root.subtrees, IsEmpty());
  EXPECT_THAT(root.skipped, IsEmpty());
  EXPECT_EQ(root.metadata_json, "");
  ASSERT_OK_AND_ASSIGN(const FileContents nested,
                       Read(Dict({{Text("model"), net}})));
  EXPECT_THAT(Keys(nested), ElementsAre("model.weight", "model.inner.weight"));
  EXPECT_THAT(nested.subtrees, ElementsAre("model"));
}

TEST(StateTreeTest, TransientBuffersAreLeftOut) {
  const std::string net = Object(
      "my.models", "Net",
      Dict({{Text("_parameters"), Dict({})},
            {Text("_buffers"),
             Dict({{Text("kept"), kTensor}, {Text("cache"), kTensor}})},
            {Text("_non_persistent_buffers_set"),
             Call(Global("__builtin__", "set"), {List({Text("cache")})})},
            {Text("_modules"), Dict({})}}));
  ASSERT_OK_AND_ASSIGN(const FileContents contents, Read(net));
  EXPECT_THAT(Keys(contents), ElementsAre("kept"));
}

TEST(StateTreeTest, NamespacesArePlainData) {
  ASSERT_OK_AND_ASSIGN(
      const FileContents contents,
      Read(Dict({{Text("t"), kTensor},
                 {Text("args"), Object("argparse", "Namespace",
                                       Dict({{Text("lr"), "F0.5\n"}}))}})));
  EXPECT_EQ(contents.metadata_json, "{\"args\":{\"lr\":0.5}}");
  EXPECT_THAT(contents.skipped, IsEmpty());
}

TEST(StateTreeTest, OtherObjectsGiveUpTheirTensorsOnce) {
  // The same object under two keys, by way of the memo.
  const std::string object = Object(
      "evil", "Thing", Dict({{Text("t"), kTensor}, {Text("x"), Int(1)}}));
  ASSERT_OK_AND_ASSIGN(
      const FileContents contents,
      Read(Dict({{Text("a"), object + "q\5"}, {Text("b"), "h\5"}})));
  EXPECT_THAT(Keys(contents), ElementsAre("a.t"));
  EXPECT_THAT(contents.subtrees, ElementsAre("a"));
  EXPECT_EQ(contents.metadata_json, "{\"a\":{\"x\":1}}");
  EXPECT_THAT(Skipped(contents),
              ElementsAre("a: object of class evil.Thing; its attributes were "
                          "read",
                          "b: object of class evil.Thing, which was read at "
                          "another path"));
}

TEST(StateTreeTest, OpaqueValuesAreSkippedWithTheirClass) {
  ASSERT_OK_AND_ASSIGN(
      const FileContents contents,
      Read(Dict({{Text("t"), kTensor},
                 {Text("rm"), Call(Global("os", "system"), {Text("rm")})},
                 {Text("f"), Global("os", "system")},
                 {Text("b"), "C\2\xff\xff"}})));
  EXPECT_THAT(Skipped(contents),
              ElementsAre("rm: object of class os.system",
                          "f: class or function os.system", "b: bytes"));
}

TEST(StateTreeTest, AttributesOfDictSubclassesAreReported) {
  ASSERT_OK_AND_ASSIGN(
      const FileContents contents,
      Read(Build(Call(Global("my", "Dict"), {}) + Text("t") + kTensor + "s",
                 Dict({{Text("x"), Int(1)}}))));
  EXPECT_THAT(Keys(contents), ElementsAre("t"));
  EXPECT_THAT(Skipped(contents),
              ElementsAre(": attributes of an object of class my.Dict"));
}

TEST(StateTreeTest, ListsWithTensorsAreObjectsInTheMetadata) {
  ASSERT_OK_AND_ASSIGN(const FileContents contents,
                       Read(Dict({{Text("a"), List({Int(1), kTensor, Int(3)})},
                                  {Text("b"), List({Int(1), "N"})},
                                  {Text("c"), List({})},
                                  {Text("d"), List({kTensor})}})));
  EXPECT_EQ(contents.metadata_json,
            "{\"a\":{\"0\":1,\"2\":3},\"b\":[1,null],\"c\":[]}");
}

TEST(StateTreeTest, RootThatIsAListHasItsIndicesAsKeys) {
  ASSERT_OK_AND_ASSIGN(const FileContents contents,
                       Read(List({Int(1), Int(2)})));
  EXPECT_EQ(contents.metadata_json, "{\"0\":1,\"1\":2}");
}

TEST(StateTreeTest, RootsWithoutNamesAreRefused) {
  ExpectRefused(kTensor, "one tensor without a name");
  ExpectRefused(Int(1), "a single plain value");
}

TEST(StateTreeTest, CyclesAreSkipped) {
  ASSERT_OK_AND_ASSIGN(
      const FileContents contents,
      Read(std::string("}q\1") + Text("self") + "h\1s" + Text("t") + kTensor +
           "s" + Text("l") + "]q\2h\2as"));
  EXPECT_THAT(Keys(contents), ElementsAre("t"));
  EXPECT_THAT(Skipped(contents),
              ElementsAre("self: reference to a value that encloses it",
                          "l.0: reference to a value that encloses it"));
}

std::string Nested(int depth, const std::string& opening,
                   const std::string& closing) {
  std::string value;
  for (int i = 0; i < depth; ++i) value += opening;
  value += kTensor;
  for (int i = 0; i < depth; ++i) value += closing;
  return value;
}

TEST(StateTreeTest, DeepNestingIsRefusedWithTheKey) {
  const std::string opening = "}" + Text("d");
  EXPECT_OK(Read(Nested(kMaxNesting, opening, "s")));
  ExpectRefused(Nested(kMaxNesting + 1, opening, "s"),
                "nested more than 256 levels deep, at the key 'd.d.d");
  ExpectRefused(Nested(100'000, "]", "a"), "256 levels deep");
}

TEST(StateTreeTest, DeepObjectsAreSkipped) {
  const std::string opening =
      Call(Global("my", "Node"), {}) + "}" + Text("next");
  ASSERT_OK_AND_ASSIGN(
      const FileContents contents,
      Read(Dict({{Text("t"), kTensor},
                 {Text("list"), Nested(1000, opening, "sb")}})));
  EXPECT_THAT(Keys(contents), ElementsAre("t"));
  EXPECT_THAT(contents.skipped.back().reason,
              "nested more than 256 levels deep");
}

TEST(StateTreeTest, SharedValuesMayNotExpandWithoutBound) {
  // Each list holds the one before it twice.
  std::string doubling = List({Int(1)});
  for (int i = 0; i < 60; ++i) {
    doubling = absl::StrCat("](", doubling, "q", std::string(1, char(i + 1)),
                            "h", std::string(1, char(i + 1)), "e");
  }
  ExpectRefused(Dict({{Text("t"), kTensor}, {Text("x"), doubling}}),
                "shared so often");
}

TEST(StateTreeTest, SharedTextMayNotExpandWithoutBound) {
  const std::string text = Text(std::string(1 << 20, 'x')) + "q\1";
  std::string many = "](" + text;
  for (int i = 0; i < 1000; ++i) many += "h\1";
  ExpectRefused(Dict({{Text("t"), kTensor}, {Text("x"), many + "e"}}),
                "shared so often");
  // As keys on the way to tensors, or of bytes that are not even text.
  std::string keys = "](" + text + "0" + kTensor + "q\2" + "0";
  for (int i = 0; i < 1000; ++i) keys += "}h\1h\2s";
  ExpectRefused(Dict({{Text("x"), keys + "e"}}), "shared so often");
  std::string bytes = "](B" + hand_made::Number(1 << 20, 4) +
                      std::string(1 << 20, '\xff') + "q\1";
  for (int i = 0; i < 1000; ++i) bytes += "h\1";
  ExpectRefused(Dict({{Text("t"), kTensor}, {Text("x"), bytes + "e"}}),
                "shared so often");
}

}  // namespace
}  // namespace warmstart::format
