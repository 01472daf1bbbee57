#include "server/service/handles.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

TEST(HandlesTest, ACheckpointIsFoundByNameAndByAlias) {
  World world;
  const std::string name =
      world.MustSave(MakeSafetensors({FloatTensor("w", {2})}));
  ASSERT_OK(world.store().SetAlias(AliasName::Parse("team/prod").value(),
                                   CheckpointName::Parse(name).value()));
  for (const std::string& handle : {name, std::string("aliases/team/prod")}) {
    ASSERT_OK_AND_ASSIGN(const store::Checkpoint checkpoint,
                         FindCheckpoint(world.store(), "name", handle));
    EXPECT_EQ(checkpoint.name.ToString(), name);
  }
}

TEST(HandlesTest, WhatIsNotThereIsNotFoundWithAReason) {
  World world;
  const auto checkpoint =
      FindCheckpoint(world.store(), "name", "checkpoints/nobody");
  EXPECT_THAT(checkpoint, StatusIs(absl::StatusCode::kNotFound,
                                   HasSubstr("checkpoints/nobody")));
  EXPECT_EQ(ReasonOf(checkpoint.status()), "CHECKPOINT_NOT_FOUND");
  const auto alias = FindCheckpoint(world.store(), "name", "aliases/nobody");
  EXPECT_THAT(alias, StatusIs(absl::StatusCode::kNotFound,
                              HasSubstr("aliases/nobody")));
  EXPECT_EQ(ReasonOf(alias.status()), "ALIAS_NOT_FOUND");
}

TEST(HandlesTest, WhatIsNoHandleIsRefusedWithTheField) {
  World world;
  for (const char* handle : {"", "nobody", "checkpoints/", "checkpoints/A",
                             "aliases/", "aliases/../x", "/"}) {
    const auto checkpoint =
        FindCheckpoint(world.store(), "sources[3].checkpoint", handle);
    EXPECT_THAT(checkpoint, StatusIs(absl::StatusCode::kInvalidArgument,
                                     HasSubstr("sources[3].checkpoint: ")))
        << handle;
    EXPECT_EQ(FieldOf(checkpoint.status()), "sources[3].checkpoint");
  }
}

}  // namespace
}  // namespace warmstart::service
