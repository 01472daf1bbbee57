#include "server/model/shape_adapter.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace warmstart {
namespace {

TEST(ShapeAdapterTest, EachKindHasANameOfItsOwn) {
  const ShapeAdapterKind kinds[] = {
      AutoAdapter(),
      RowsAdapter(),
      InputChannelsAdapter(),
      InflateAdapter(),
      PositionEmbeddingAdapter(),
      PositionEmbedding1dAdapter(),
      RelativePositionBiasAdapter(),
      PatchEmbeddingAdapter(),
      SliceAndPadAdapter(),
  };
  std::set<std::string> names;
  for (const ShapeAdapterKind& kind : kinds) {
    names.emplace(ShapeAdapterName(kind));
  }
  EXPECT_EQ(names.size(), std::variant_size_v<ShapeAdapterKind>);
  EXPECT_EQ(ShapeAdapterName(RowsAdapter()), "rows");
}

}  // namespace
}  // namespace warmstart
