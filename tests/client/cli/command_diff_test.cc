#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/tool_fixture.h"

namespace warmstart::client {
namespace {

using ::testing::HasSubstr;

void SetTensors(v1::DiffEntry& entry, const std::string& base,
                const std::string& other) {
  entry.set_base_dtype(base);
  entry.set_other_dtype(other);
  entry.add_base_shape(10);
  entry.add_other_shape(10);
}

class DiffTest : public ToolTest {
 protected:
  DiffTest() {
    methods().diff_checkpoints = [](const auto& request, auto* response) {
      EXPECT_EQ(request.base(), "checkpoints/a");
      EXPECT_EQ(request.other(), "aliases/b");
      response->mutable_equal()->set_keys(8);
      response->mutable_equal()->set_bytes(2048);
      v1::DiffEntry& changed = *response->add_entries();
      changed.set_key("fc.weight");
      changed.set_kind(v1::DIFF_KIND_CHANGED);
      SetTensors(changed, "float32", "float16");
      v1::DiffEntry& moved = *response->add_entries();
      moved.set_key("new");
      moved.set_kind(v1::DIFF_KIND_MOVED);
      moved.set_base_key("old");
      SetTensors(moved, "float32", "float32");
      return grpc::Status::OK;
    };
  }
};

TEST_F(DiffTest, DifferencesAreListedAndCounted) {
  const Ran ran = Run({"diff", "checkpoints/a", "aliases/b"});
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(ran.out, R"(equal: 8 keys, 0 parameters, 2.0 KiB
changed: 0 keys, 0 parameters, 0 B
added: 0 keys, 0 parameters, 0 B
removed: 0 keys, 0 parameters, 0 B
moved: 0 keys, 0 parameters, 0 B

DIFFERENCE  KEY        TENSOR                        WAS
changed     fc.weight  float32 [10] -> float16 [10]
moved       new        float32 [10]                  old
)");
}

TEST_F(DiffTest, JsonIsTheResponse) {
  EXPECT_THAT(Run({"diff", "checkpoints/a", "aliases/b", "--json"}).out,
              HasSubstr("\"DIFF_KIND_MOVED\""));
}

TEST_F(DiffTest, ItTakesTwo) {
  EXPECT_EQ(Run({"diff", "checkpoints/a"}).exit_code, 2);
}

}  // namespace
}  // namespace warmstart::client
