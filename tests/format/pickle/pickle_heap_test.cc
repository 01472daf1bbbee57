#include "server/format/pickle/pickle_heap.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace warmstart::format {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(PickleHeapTest, CommonScalarsTakeNoRoom) {
  PickleHeap heap;
  const size_t size = heap.size();
  for (int64_t value = 0; value < 256; ++value) {
    EXPECT_EQ(heap.Int(heap.AddInt(value)), value);
  }
  EXPECT_EQ(heap.kind(heap.AddNone()), PickleKind::kNone);
  EXPECT_TRUE(heap.Bool(heap.AddBool(true)));
  EXPECT_FALSE(heap.Bool(heap.AddBool(false)));
  EXPECT_EQ(heap.size(), size);
  EXPECT_EQ(heap.Int(heap.AddInt(256)), 256);
  EXPECT_EQ(heap.Int(heap.AddInt(-1)), -1);
  EXPECT_EQ(heap.size(), size + 2);
}

TEST(PickleHeapTest, KeptTextLivesAsLongAsTheHeap) {
  PickleHeap heap;
  const PickleId first =
      heap.AddText(PickleKind::kString, heap.Keep(std::string(100, 'a')));
  for (int i = 0; i < 1000; ++i) heap.Keep(std::string(100, 'b'));
  EXPECT_EQ(heap.Text(first), std::string(100, 'a'));
}

TEST(PickleHeapTest, ContainersGrowApart) {
  PickleHeap heap;
  const PickleId list = heap.AddContainer(PickleKind::kList);
  const PickleId dict = heap.AddContainer(PickleKind::kDict);
  EXPECT_THAT(heap.Items(list), IsEmpty());
  heap.Append(list, 1);
  heap.Append(dict, 2);
  heap.Append(list, 3);
  EXPECT_THAT(heap.Items(list), ElementsAre(1, 3));
  EXPECT_THAT(heap.Items(dict), ElementsAre(2));
  const PickleId tuple = heap.AddTuple(heap.Items(list));
  heap.Append(list, 4);
  EXPECT_THAT(heap.Items(tuple), ElementsAre(1, 3));
  EXPECT_THAT(heap.Items(heap.AddTuple({})), IsEmpty());
}

TEST(PickleHeapTest, ObjectsGetContainersWhenTheyNeedThem) {
  PickleHeap heap;
  const PickleId object = heap.AddObject(heap.AddGlobal({"a", "b"}), 0);
  EXPECT_EQ(heap.Object(object).list_items, kNoPickleId);
  EXPECT_EQ(heap.Object(object).dict_items, kNoPickleId);
  const PickleId list = heap.ListItemsOf(object);
  EXPECT_EQ(heap.ListItemsOf(object), list);
  EXPECT_EQ(heap.kind(list), PickleKind::kList);
  EXPECT_EQ(heap.kind(heap.DictItemsOf(object)), PickleKind::kDict);
  heap.SetState(object, list);
  EXPECT_EQ(heap.Object(object).state, list);
}

}  // namespace
}  // namespace warmstart::format
