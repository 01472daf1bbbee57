#include "server/format/pickle/pickled_object.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/format/hand_made.h"
#include "tests/format/loaded_pickle.h"

namespace warmstart::format {
namespace {

using hand_made::Build;
using hand_made::Call;
using hand_made::Dict;
using hand_made::Global;
using hand_made::Int;
using hand_made::List;
using hand_made::Persistent;
using hand_made::Text;
using hand_made::Tuple;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The texts among the items.
std::vector<std::string> Texts(const PickleHeap& heap,
                               absl::Span<const PickleId> items) {
  std::vector<std::string> texts;
  for (PickleId item : items) texts.emplace_back(heap.Text(item));
  return texts;
}

std::vector<std::string> DictTexts(const std::string& value) {
  const LoadedPickle pickle(value);
  std::vector<PickleId> items;
  EXPECT_TRUE(GetDictItems(pickle.heap(), pickle.root(), &items));
  return Texts(pickle.heap(), items);
}

std::vector<std::string> ListTexts(const std::string& value) {
  const LoadedPickle pickle(value);
  std::vector<PickleId> items;
  EXPECT_TRUE(GetListItems(pickle.heap(), pickle.root(), &items));
  return Texts(pickle.heap(), items);
}

std::string ClassName(const std::string& value) {
  const LoadedPickle pickle(value);
  return GlobalName(pickle.heap(), ClassOf(pickle.heap(), pickle.root()));
}

TEST(PickledObjectTest, Python2NamesCountAsPython3s) {
  const LoadedPickle pickle(Global("__builtin__", "set"));
  EXPECT_TRUE(IsGlobal(pickle.heap(), pickle.root(), "builtins", "set"));
  EXPECT_FALSE(IsGlobal(pickle.heap(), pickle.root(), "builtins", "list"));
  EXPECT_FALSE(IsGlobal(pickle.heap(), kNoPickleId, "builtins", "set"));
  EXPECT_EQ(GlobalName(pickle.heap(), pickle.root()), "builtins.set");
}

TEST(PickledObjectTest, NamesForPeopleAreEscapedAndShort) {
  const LoadedPickle pickle(Global("a\x1b[1m", std::string(1000, 'x')));
  EXPECT_EQ(GlobalName(pickle.heap(), pickle.root()),
            "a\\x1b[1m." + std::string(100, 'x'));
}

TEST(PickledObjectTest, ClassIsFoundBehindItsMakers) {
  const std::string type = Global("foo", "Bar");
  EXPECT_EQ(ClassName(Call(type, {})), "foo.Bar");
  EXPECT_EQ(ClassName(Call(Global("copy_reg", "_reconstructor"),
                           {type, Global("__builtin__", "object"), "N"})),
            "foo.Bar");
  EXPECT_EQ(ClassName(Call(Global("copyreg", "__newobj__"), {type})),
            "foo.Bar");
  EXPECT_EQ(ClassName(Call(Global("numpy.core.multiarray", "_reconstruct"),
                           {Global("numpy", "ndarray"), Tuple({})})),
            "numpy.ndarray");
  EXPECT_EQ(ClassName(Call(Persistent(Tuple({Text("module"), type,
                                             Text("net.py"), Text("class")})),
                           {})),
            "foo.Bar");
  EXPECT_EQ(ClassName(Call(Int(5), {})), "?");
}

TEST(PickledObjectTest, DictsAreRecognised) {
  const std::string ordered = Global("collections", "OrderedDict");
  EXPECT_THAT(DictTexts(Dict({{Text("a"), Text("b")}})), ElementsAre("a", "b"));
  EXPECT_THAT(DictTexts(Call(ordered, {}) + "(" + Text("a") + Text("b") + "u"),
              ElementsAre("a", "b"));
  // Python 2 gave the items as the argument.
  EXPECT_THAT(DictTexts(Call(ordered, {List({List({Text("a"), Text("b")}),
                                             List({Text("c"), Text("d")})})})),
              ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(DictTexts(Call(Global("collections", "Counter"),
                             {Dict({{Text("a"), Text("b")}})})),
              ElementsAre("a", "b"));
  EXPECT_THAT(DictTexts(Call(Global("collections", "defaultdict"),
                             {Global("__builtin__", "list")}) +
                        Text("a") + Text("b") + "s"),
              ElementsAre("a", "b"));
  EXPECT_THAT(DictTexts(Call(Global("easydict", "EasyDict"), {}) + Text("a") +
                        Text("b") + "s"),
              ElementsAre("a", "b"));
  EXPECT_THAT(DictTexts(Call(ordered, {List({Int(1), Int(2)})})), IsEmpty());
}

TEST(PickledObjectTest, ListsAreRecognised) {
  EXPECT_THAT(ListTexts(List({Text("a")})), ElementsAre("a"));
  EXPECT_THAT(ListTexts(Tuple({Text("a")})), ElementsAre("a"));
  for (const char* name : {"set", "frozenset", "list", "tuple"}) {
    EXPECT_THAT(
        ListTexts(Call(Global("__builtin__", name), {List({Text("a")})})),
        ElementsAre("a"));
  }
  EXPECT_THAT(
      ListTexts(Call(Global("collections", "deque"), {}) + Text("a") + "a"),
      ElementsAre("a"));
  EXPECT_THAT(ListTexts(Call(Global("my", "List"), {}) + Text("a") + "a"),
              ElementsAre("a"));
}

TEST(PickledObjectTest, OtherObjectsAreNoContainers) {
  const LoadedPickle pickle(Call(Global("foo", "Bar"), {List({Int(1)})}));
  std::vector<PickleId> items;
  EXPECT_FALSE(GetDictItems(pickle.heap(), pickle.root(), &items));
  EXPECT_FALSE(GetListItems(pickle.heap(), pickle.root(), &items));
  EXPECT_FALSE(GetAttributes(pickle.heap(), pickle.root(), &items));
  EXPECT_THAT(items, IsEmpty());
}

TEST(PickledObjectTest, AttributesComeFromDictAndSlots) {
  const std::string object = Call(Global("foo", "Bar"), {});
  for (const std::string& state :
       {Dict({{Text("a"), Text("b")}}),
        Tuple({Dict({{Text("a"), Text("b")}}), "N"}),
        Tuple({"N", Dict({{Text("a"), Text("b")}})})}) {
    const LoadedPickle pickle(Build(object, state));
    std::vector<PickleId> items;
    EXPECT_TRUE(GetAttributes(pickle.heap(), pickle.root(), &items));
    EXPECT_THAT(Texts(pickle.heap(), items), ElementsAre("a", "b"));
  }
  for (const std::string& state : {Int(1), Tuple({Int(1), Int(2)})}) {
    const LoadedPickle pickle(Build(object, state));
    std::vector<PickleId> items;
    EXPECT_FALSE(GetAttributes(pickle.heap(), pickle.root(), &items));
  }
}

TEST(PickledObjectTest, TheLastOfEqualKeysIsFound) {
  const LoadedPickle pickle(
      Dict({{Text("a"), Int(1)}, {Int(7), Int(2)}, {Text("a"), Int(3)}}));
  const auto items = pickle.heap().Items(pickle.root());
  EXPECT_EQ(pickle.heap().Int(FindItem(pickle.heap(), items, "a")), 3);
  EXPECT_EQ(FindItem(pickle.heap(), items, "b"), kNoPickleId);
}

TEST(PickledObjectTest, TypeTagsAreLookedThrough) {
  const std::string list = List({Text("a")});
  const std::string module = "torch.jit._pickle";
  const LoadedPickle tagged(
      Call(Global(module, "restore_type_tag"),
           {Call(Global(module, "build_intlist"), {list}), Text("List[int]")}));
  const PickleId inner = LookThroughTags(tagged.heap(), tagged.root());
  EXPECT_EQ(tagged.heap().kind(inner), PickleKind::kList);
  const LoadedPickle other(Call(Global(module, "something"), {list}));
  EXPECT_EQ(LookThroughTags(other.heap(), other.root()), other.root());
}

}  // namespace
}  // namespace warmstart::format
