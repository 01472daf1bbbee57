#include "server/service/architecture_registry.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/service/files.h"
#include "tests/service/world.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::warmstart::testing::IsOk;
using ::warmstart::testing::StatusIs;

Architecture Named(const std::string& name, int64_t size = 1) {
  return MakeSchema(name, {{"weight", {size}}});
}

int64_t SizeOf(const ModelPtr& model) {
  return model->schema().entries[0].spec.num_elements();
}

// All names, and how many pages it took.
std::vector<std::string> ListAll(ArchitectureRegistry& registry, int page_size,
                                 int* pages) {
  std::vector<std::string> names;
  std::string token;
  *pages = 0;
  do {
    const auto page = registry.List(page_size, token);
    EXPECT_OK(page);
    if (!page.ok()) return names;
    EXPECT_LE(page->architectures.size(), static_cast<size_t>(page_size));
    for (const ListedArchitecture& listed : page->architectures) {
      names.push_back(VersionedName(listed.schema));
    }
    token = page->next_page_token;
    ++*pages;
  } while (!token.empty());
  return names;
}

TEST(ArchitectureRegistryTest, BuiltInOnesAreFoundByBothNames) {
  World world;
  for (const char* name : {"NetA", "architectures/NetA"}) {
    ASSERT_OK_AND_ASSIGN(const ModelPtr model,
                         world.architectures().Find(name));
    EXPECT_EQ(model->schema().name, "NetA");
    EXPECT_TRUE(model->has_forward());
  }
}

TEST(ArchitectureRegistryTest, AnUnknownNameIsNotFoundAndListsWhatIsBuiltIn) {
  World world;
  const auto model = world.architectures().Find("architectures/NetC");
  EXPECT_THAT(model, StatusIs(absl::StatusCode::kNotFound,
                              AllOf(HasSubstr("architectures/NetC"),
                                    HasSubstr("NetA, NetB"))));
  EXPECT_EQ(ReasonOf(model.status()), "ARCHITECTURE_NOT_FOUND");
}

TEST(ArchitectureRegistryTest, WhatCannotBeANameIsRefusedWithTheField) {
  World world;
  for (const char* name : {"", "a/b", "architectures/", "aliases/NetA", "-a"}) {
    const auto model = world.architectures().Find(name, "some_field");
    EXPECT_THAT(model, StatusIs(absl::StatusCode::kInvalidArgument,
                                HasSubstr("some_field: ")))
        << name;
    EXPECT_EQ(FieldOf(model.status()), "some_field");
  }
}

TEST(ArchitectureRegistryTest, WhatWasRegisteredIsFoundAlsoAfterARestart) {
  World world;
  EXPECT_THAT(world.architectures().Register(Named("mine", 7)), IsOk());
  for (int round = 0; round < 2; ++round) {
    ASSERT_OK_AND_ASSIGN(const ModelPtr model,
                         world.architectures().Find("architectures/mine"));
    Architecture expected = Named("mine", 7);
    expected.version = 1;
    EXPECT_EQ(model->schema(), expected);
    EXPECT_FALSE(model->has_forward());
    world.Restart();
  }
}

TEST(ArchitectureRegistryTest, TheResourceNameIsTakenToo) {
  World world;
  ASSERT_OK_AND_ASSIGN(const ModelPtr model, world.architectures().Register(
                                                 Named("architectures/mine")));
  EXPECT_EQ(VersionedName(model->schema()), "mine/versions/1");
}

TEST(ArchitectureRegistryTest, SomethingElseIsTheNextVersionAndTheSameIsNone) {
  World world;
  ArchitectureRegistry& registry = world.architectures();
  for (const int64_t size : {1, 2, 1, 2}) {
    ASSERT_OK_AND_ASSIGN(const ModelPtr model,
                         registry.Register(Named("mine", size)));
    EXPECT_EQ(model->schema().version, size);
  }
  for (int round = 0; round < 2; ++round) {  // from the store and the cache
    ASSERT_OK_AND_ASSIGN(const ModelPtr first,
                         registry.Find("mine/versions/1"));
    EXPECT_EQ(SizeOf(first), 1);
    ASSERT_OK_AND_ASSIGN(const ModelPtr newest, registry.Find("mine"));
    EXPECT_EQ(SizeOf(newest), 2);
  }
  const auto none = registry.Find("mine/versions/3");
  EXPECT_THAT(none, StatusIs(absl::StatusCode::kNotFound,
                             HasSubstr("architectures/mine means the newest")));
  EXPECT_EQ(ReasonOf(none.status()), "ARCHITECTURE_NOT_FOUND");
}

TEST(ArchitectureRegistryTest, WhatWasFoundMayBeRegisteredAgainByItsFullName) {
  World world;
  ASSERT_OK(world.architectures().Register(Named("mine", 1)));
  ASSERT_OK(world.architectures().Register(Named("mine", 2)));
  ASSERT_OK_AND_ASSIGN(const ModelPtr again, world.architectures().Register(
                                                 Named("mine/versions/1", 1)));
  EXPECT_EQ(again->schema().version, 1);
}

TEST(ArchitectureRegistryTest, BuiltInOnesHaveNoVersions) {
  World world;
  EXPECT_THAT(world.architectures().Find("NetA/versions/1"),
              StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK_AND_ASSIGN(const ArchitectureListing listing,
                       world.architectures().ListVersions("NetA", 10, ""));
  ASSERT_THAT(listing.architectures, SizeIs(1));
  EXPECT_TRUE(listing.architectures[0].built_in);
  EXPECT_TRUE(listing.architectures[0].has_forward);
  EXPECT_EQ(listing.architectures[0].schema.version, 0);
  EXPECT_EQ(
      FieldOf(world.architectures().ListVersions("NetA", 10, "token").status()),
      "page_token");
}

TEST(ArchitectureRegistryTest, VersionsAreListedNewestFirst) {
  World world;
  ArchitectureRegistry& registry = world.architectures();
  for (const int64_t size : {1, 2, 3}) {
    ASSERT_OK(registry.Register(Named("mine", size)));
  }
  std::vector<int64_t> versions;
  std::string token;
  do {
    ASSERT_OK_AND_ASSIGN(const ArchitectureListing listing,
                         registry.ListVersions("architectures/mine", 2, token));
    for (const ListedArchitecture& listed : listing.architectures) {
      versions.push_back(listed.schema.version);
      EXPECT_FALSE(listed.built_in);
    }
    token = listing.next_page_token;
  } while (!token.empty());
  EXPECT_THAT(versions, ElementsAre(3, 2, 1));
  EXPECT_EQ(ReasonOf(registry.ListVersions("nobody", 2, "").status()),
            "ARCHITECTURE_NOT_FOUND");
  EXPECT_EQ(FieldOf(registry.ListVersions("mine/versions/1", 2, "").status()),
            "architecture");
}

TEST(ArchitectureRegistryTest,
     ADryRegistrationSaysWhatWouldBeAndStoresNothing) {
  World world;
  ArchitectureRegistry& registry = world.architectures();
  const RegisterOptions dry{.validate_only = true};
  ASSERT_OK_AND_ASSIGN(ModelPtr model, registry.Register(Named("mine"), dry));
  EXPECT_EQ(model->schema().version, 1);
  EXPECT_THAT(registry.Find("mine"), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK(registry.Register(Named("mine")));
  ASSERT_OK_AND_ASSIGN(model, registry.Register(Named("mine"), dry));
  EXPECT_EQ(model->schema().version, 1);
  ASSERT_OK_AND_ASSIGN(model, registry.Register(Named("mine", 2), dry));
  EXPECT_EQ(model->schema().version, 2);
  EXPECT_EQ(ReasonOf(registry.Register(Named("NetA"), dry).status()),
            "ARCHITECTURE_BUILT_IN");
}

TEST(ArchitectureRegistryTest, TheNamesOfBuiltInOnesAreTaken) {
  World world;
  const auto model = world.architectures().Register(Named("NetA"));
  EXPECT_THAT(model, StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(ReasonOf(model.status()), "ARCHITECTURE_BUILT_IN");
}

TEST(ArchitectureRegistryTest, ASchemaThatCannotBeUsedIsRefused) {
  World world;
  const auto model = world.architectures().Register(
      MakeSchema("mine", {{"twice", {1}}, {"twice", {1}}}));
  EXPECT_THAT(model, StatusIs(absl::StatusCode::kInvalidArgument,
                              HasSubstr("'twice' is there twice")));
  EXPECT_EQ(ReasonOf(model.status()), "INVALID_FIELD");
}

TEST(ArchitectureRegistryTest, ASchemaThatIsTooLargeIsRefused) {
  World world;
  Architecture many = Named("many");
  many.entries.resize((1 << 18) + 1);
  EXPECT_THAT(world.architectures().Register(many),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("architecture.entries: there are 262145")));
  many = Named("many");
  many.modules.resize((1 << 18) + 1);
  EXPECT_THAT(world.architectures().Register(many),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("architecture.modules")));
  const Architecture long_key =
      MakeSchema("long", {{"a", {1}}, {std::string(16385, 'k'), {1}}});
  EXPECT_THAT(world.architectures().Register(long_key),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("architecture.entries[1].key")));
}

TEST(ArchitectureRegistryTest, PagesOfEverySizeListBuiltInOnesFirst) {
  World world;
  for (const char* name : {"zebra", "Ant", "mole"}) {
    ASSERT_OK(world.architectures().Register(Named(name)));
  }
  ASSERT_OK(world.architectures().Register(Named("mole", 2)));
  for (const int page_size : {1, 2, 3, 4, 5, 50}) {
    int pages = 0;
    EXPECT_THAT(ListAll(world.architectures(), page_size, &pages),
                ElementsAre("NetA", "NetB", "Ant/versions/1", "mole/versions/2",
                            "zebra/versions/1"))
        << page_size;
    EXPECT_EQ(pages, (5 + page_size - 1) / page_size) << page_size;
  }
}

TEST(ArchitectureRegistryTest, WithNothingRegisteredTheListEnds) {
  World world;
  for (const int page_size : {1, 2, 3}) {
    int pages = 0;
    EXPECT_THAT(ListAll(world.architectures(), page_size, &pages),
                ElementsAre("NetA", "NetB"));
  }
}

TEST(ArchitectureRegistryTest, PageTokensThatNobodyGaveAreRefused) {
  World world;
  for (const char* token : {"NetC", "stored:x", "stored:!", ":"}) {
    const auto page = world.architectures().List(10, token);
    EXPECT_THAT(page, StatusIs(absl::StatusCode::kInvalidArgument)) << token;
    EXPECT_EQ(FieldOf(page.status()), "page_token");
  }
}

TEST(ArchitectureRegistryTest, WhatIsDeletedIsNoLongerFound) {
  World world;
  ASSERT_OK(world.architectures().Register(Named("mine", 1)));
  ASSERT_OK(world.architectures().Find("mine"));  // now it is cached
  EXPECT_OK(world.architectures().Delete("architectures/mine", false));
  EXPECT_THAT(world.architectures().Find("mine"),
              StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK(world.architectures().Register(Named("mine", 2)));
  ASSERT_OK_AND_ASSIGN(const ModelPtr model,
                       world.architectures().Find("mine"));
  EXPECT_EQ(SizeOf(model), 2);
}

TEST(ArchitectureRegistryTest, AVersionIsDeletedAloneAndTheOneBeforeIsNewest) {
  World world;
  ArchitectureRegistry& registry = world.architectures();
  for (const int64_t size : {1, 2, 3}) {
    ASSERT_OK(registry.Register(Named("mine", size)));
    ASSERT_OK(registry.Find("mine"));  // now it is cached
  }
  ASSERT_OK(registry.Delete("mine/versions/3", false));
  EXPECT_THAT(registry.Find("mine/versions/3"),
              StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK_AND_ASSIGN(ModelPtr model, registry.Find("mine"));
  EXPECT_EQ(SizeOf(model), 2);
  ASSERT_OK(registry.Delete("mine/versions/1", false));
  ASSERT_OK_AND_ASSIGN(model, registry.Register(Named("mine", 3)));
  EXPECT_EQ(model->schema().version, 4);
}

TEST(ArchitectureRegistryTest, WhatIsNotThereCannotBeDeleted) {
  World world;
  const absl::Status unknown = world.architectures().Delete("mine", true);
  EXPECT_THAT(unknown, StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(ReasonOf(unknown), "ARCHITECTURE_NOT_FOUND");
  const absl::Status built_in = world.architectures().Delete("NetA", true);
  EXPECT_THAT(built_in, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(ReasonOf(built_in), "ARCHITECTURE_BUILT_IN");
}

TEST(ArchitectureRegistryTest, OneThatCheckpointsNameIsDeletedWithForceAlone) {
  World world;
  ASSERT_OK(world.architectures().Register(Named("mine")));
  SaveModelRequest request;
  request.architecture = "mine";
  ASSERT_OK(world.Save({}, request));
  const absl::Status refused = world.architectures().Delete("mine", false);
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_EQ(ReasonOf(refused), "ARCHITECTURE_IN_USE");
  EXPECT_OK(world.architectures().Find("mine"));
  ASSERT_OK(world.architectures().Register(Named("mine", 2)));
  EXPECT_OK(world.architectures().Delete("mine/versions/2", false));
  EXPECT_OK(world.architectures().Delete("mine", true));
  EXPECT_EQ(world.num_checkpoints(), 1);
}

// While others fill the cache all the time, none may be served that a Delete,
// which was answered, took away.
TEST(ArchitectureRegistryTest, TheCacheNeverShowsWhatWasDeletedBefore) {
  World world;
  ArchitectureRegistry& registry = world.architectures();
  std::atomic<bool> stop = false;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!stop) registry.Find("mine").status().IgnoreError();
    });
  }
  for (int round = 1; round <= 100; ++round) {
    EXPECT_OK(registry.Register(Named("mine", round)));
    const auto found = registry.Find("mine");
    EXPECT_OK(found);
    if (found.ok()) {
      EXPECT_EQ(SizeOf(*found), round);
    }
    EXPECT_OK(registry.Delete("mine", false));
    EXPECT_THAT(registry.Find("mine"), StatusIs(absl::StatusCode::kNotFound));
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
}

TEST(ArchitectureRegistryTest, TheCacheIsBounded) {
  World world;
  ArchitectureRegistry registry(world.store(), {}, /*max_cached_entries=*/2);
  std::vector<std::weak_ptr<const backend::ModelArchitecture>> found;
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_OK(registry.Register(Named(name)));
    ASSERT_OK_AND_ASSIGN(const ModelPtr model, registry.Find(name));
    found.push_back(model);
    EXPECT_FALSE(found[0].expired() && found.size() < 3);
  }
  EXPECT_TRUE(found[0].expired());
  EXPECT_TRUE(found[1].expired());
  EXPECT_FALSE(found[2].expired());
  EXPECT_OK(registry.Find("a"));
}

// It is used, but not kept.
TEST(ArchitectureRegistryTest, WhatDoesNotFitIntoTheCacheIsFoundAllTheSame) {
  World world;
  ArchitectureRegistry registry(world.store(), {}, /*max_cached_entries=*/0);
  ASSERT_OK(registry.Register(Named("a")));
  EXPECT_OK(registry.Find("a"));
  EXPECT_OK(registry.Find("a"));
}

}  // namespace
}  // namespace warmstart::service
