#include "client/cli/table.h"

#include "gtest/gtest.h"

namespace warmstart::client {
namespace {

TEST(TableTest, ColumnsAreAligned) {
  Table table({{"KEY"}, {"SIZE", /*right_aligned=*/true}, {"DTYPE"}});
  table.AddRow({{"fc1.weight"}, {"1.5 KiB"}, {"float32"}});
  table.AddRow({{"b"}, {"12 B"}, {"int8"}});
  EXPECT_EQ(table.Render({}),
            "KEY            SIZE  DTYPE\n"
            "fc1.weight  1.5 KiB  float32\n"
            "b              12 B  int8\n");
}

TEST(TableTest, EmptyColumnsAreLeftOut) {
  Table table({{"A"}, {"B"}, {"C"}});
  table.AddRow({{"1"}, {""}, {"3"}});
  EXPECT_EQ(table.Render({}), "A  C\n1  3\n");
}

TEST(TableTest, WidthsAreOfCharacters) {
  Table table({{"A"}, {"B"}});
  table.AddRow({{"größe"}, {"x"}});
  table.AddRow({{"groesse"}, {"y"}});
  EXPECT_EQ(table.Render({}),
            "A        B\n"
            "größe    x\n"
            "groesse  y\n");
}

TEST(TableTest, ColorsDoNotMoveColumns) {
  Table table({{"A"}, {"B"}});
  table.AddRow({{"x", Color::kGreen}, {"y"}});
  EXPECT_EQ(table.Render({.color = true}),
            "\x1b[2mA\x1b[0m  \x1b[2mB\x1b[0m\n"
            "\x1b[32mx\x1b[0m  y\n");
}

TEST(TableTest, LongTablesAreFolded) {
  Table table({{"N"}});
  for (const char* text : {"1", "2", "3333333"}) table.AddRow({{text}});
  EXPECT_EQ(table.Render({.max_rows = 2}),
            "N\n1\n2\n... 1 more; --all shows them\n");
  EXPECT_EQ(table.Render({.max_rows = 3}), "N\n1\n2\n3333333\n");
}

TEST(TableTest, CellsCannotDriveTheTerminal) {
  Table table({{"KEY"}});
  table.AddRow({{"a\x1b[2J\nb"}});
  EXPECT_EQ(table.Render({}), "KEY\na\\x1b[2J\\x0ab\n");
}

}  // namespace
}  // namespace warmstart::client
