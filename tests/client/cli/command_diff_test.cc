#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/tool_fixture.h"

namespace warmstart::client {
namespace {

using ::testing::HasSubstr;

v1::ManifestEntry Entry(const std::string& key, const std::string& dtype) {
  v1::ManifestEntry entry;
  entry.set_key(key);
  entry.set_dtype(dtype);
  entry.add_shape(10);
  return entry;
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
      *changed.mutable_base() = Entry("fc.weight", "float32");
      *changed.mutable_other() = Entry("fc.weight", "float16");
      v1::DiffEntry& moved = *response->add_entries();
      moved.set_key("old");
      moved.set_kind(v1::DIFF_KIND_MOVED);
      moved.set_other_key("new");
      *moved.mutable_base() = Entry("old", "float32");
      *moved.mutable_other() = Entry("new", "float32");
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

DIFFERENCE  KEY        TENSOR                        NOW
changed     fc.weight  float32 [10] -> float16 [10]
moved       old        float32 [10]                  new
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
