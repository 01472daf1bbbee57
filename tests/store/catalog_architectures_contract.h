// What every Catalog does with architectures: see catalog_fixture.h.

#ifndef WARMSTART_TESTS_STORE_CATALOG_ARCHITECTURES_CONTRACT_H_
#define WARMSTART_TESTS_STORE_CATALOG_ARCHITECTURES_CONTRACT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/error_info.h"
#include "tests/store/catalog_fixture.h"

namespace warmstart::store {

template <typename Backend>
class CatalogArchitectures : public CatalogTest<Backend> {
 protected:
  // The versions of an architecture, as they are listed.
  std::vector<int64_t> Versions(const std::string& name) {
    std::vector<int64_t> versions;
    const auto listed = this->catalog_->ListArchitectureVersions(
        MakeArchitectureName(name), Catalog::kNewest, 100);
    EXPECT_THAT(listed, testing::IsOk());
    if (!listed.ok()) return versions;
    for (const Architecture& architecture : *listed) {
      versions.push_back(architecture.version);
    }
    return versions;
  }
};

TYPED_TEST_SUITE_P(CatalogArchitectures);

TYPED_TEST_P(CatalogArchitectures, AnArchitectureIsKeptAsItIsWithItsVersion) {
  Architecture net = MakeArchitecture("Net", 3);
  ASSERT_THAT(this->catalog_->PutArchitecture(net), testing::IsOkAndHolds(1));
  net.version = 1;
  for (const bool reopened : {false, true}) {
    if (reopened) this->Reopen();
    for (const char* name : {"Net", "Net/versions/1"}) {
      EXPECT_THAT(this->catalog_->GetArchitecture(MakeArchitectureName(name)),
                  testing::IsOkAndHolds(net));
    }
    EXPECT_THAT(
        this->catalog_->GetArchitecture(MakeArchitectureName("Net/versions/2")),
        testing::StatusIs(absl::StatusCode::kNotFound));
  }
}

TYPED_TEST_P(CatalogArchitectures, TheSameIsNoNewVersionWhicheverItIs) {
  for (const int64_t size : {1, 2, 3}) {
    const Architecture net = MakeArchitecture("Net", size);
    EXPECT_THAT(this->catalog_->PreviewArchitecture(net),
                testing::IsOkAndHolds(size));
    EXPECT_THAT(this->catalog_->PutArchitecture(net),
                testing::IsOkAndHolds(size));
  }
  Architecture again = MakeArchitecture("Net", 2);
  again.version = 7;  // does not count
  EXPECT_THAT(this->catalog_->PreviewArchitecture(again),
              testing::IsOkAndHolds(2));
  EXPECT_THAT(this->catalog_->PutArchitecture(again), testing::IsOkAndHolds(2));
  EXPECT_THAT(this->Versions("Net"), ::testing::ElementsAre(3, 2, 1));
  EXPECT_THAT(this->catalog_->PutArchitecture(MakeArchitecture("Other", 2)),
              testing::IsOkAndHolds(1));
}

TYPED_TEST_P(CatalogArchitectures, AVersionsNumberIsNeverUsedAgain) {
  for (const int64_t size : {1, 2}) {
    ASSERT_OK(this->catalog_->PutArchitecture(MakeArchitecture("Net", size)));
  }
  ASSERT_OK(this->catalog_->DeleteArchitecture(
      MakeArchitectureName("Net/versions/2"), false));
  EXPECT_THAT(this->catalog_->PutArchitecture(MakeArchitecture("Net", 2)),
              testing::IsOkAndHolds(3));
  ASSERT_OK(
      this->catalog_->DeleteArchitecture(MakeArchitectureName("Net"), false));
  this->Reopen();
  EXPECT_THAT(this->catalog_->GetArchitecture(MakeArchitectureName("Net")),
              testing::StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(this->catalog_->PutArchitecture(MakeArchitecture("Net", 1)),
              testing::IsOkAndHolds(4));
}

TYPED_TEST_P(CatalogArchitectures, ANameAloneIsItsNewestVersionThatIsThere) {
  for (const int64_t size : {1, 2, 3}) {
    ASSERT_OK(this->catalog_->PutArchitecture(MakeArchitecture("Net", size)));
  }
  ASSERT_OK(this->catalog_->DeleteArchitecture(
      MakeArchitectureName("Net/versions/3"), false));
  EXPECT_EQ(
      this->catalog_->GetArchitecture(MakeArchitectureName("Net"))->version, 2);
  EXPECT_THAT(this->Versions("Net"), ::testing::ElementsAre(2, 1));
}

TYPED_TEST_P(CatalogArchitectures, ListsHaveTheNewestOfEachByName) {
  for (const char* name : {"Net", "Zoo", "Also"}) {
    ASSERT_OK(this->catalog_->PutArchitecture(MakeArchitecture(name, 1)));
  }
  ASSERT_OK(this->catalog_->PutArchitecture(MakeArchitecture("Net", 2)));
  ASSERT_OK(this->catalog_->PutArchitecture(MakeArchitecture("Gone", 2)));
  ASSERT_OK(
      this->catalog_->DeleteArchitecture(MakeArchitectureName("Gone"), false));
  Architecture also = MakeArchitecture("Also", 1);
  Architecture net = MakeArchitecture("Net", 2);
  Architecture zoo = MakeArchitecture("Zoo", 1);
  also.version = zoo.version = 1;
  net.version = 2;
  EXPECT_THAT(this->catalog_->ListArchitectures("", 2),
              testing::IsOkAndHolds(::testing::ElementsAre(also, net)));
  EXPECT_THAT(this->catalog_->ListArchitectures("Net", 2),
              testing::IsOkAndHolds(::testing::ElementsAre(zoo)));
}

TYPED_TEST_P(CatalogArchitectures, VersionsAreListedNewestFirstBelowABound) {
  for (const int64_t size : {1, 2, 3, 4}) {
    ASSERT_OK(this->catalog_->PutArchitecture(MakeArchitecture("Net", size)));
  }
  ASSERT_OK_AND_ASSIGN(const std::vector<Architecture> page,
                       this->catalog_->ListArchitectureVersions(
                           MakeArchitectureName("Net"), 4, 2));
  ASSERT_THAT(page, ::testing::SizeIs(2));
  EXPECT_EQ(page[0].version, 3);
  EXPECT_EQ(page[1].version, 2);
  EXPECT_THAT(this->catalog_->ListArchitectureVersions(
                  MakeArchitectureName("Net"), 1, 2),
              testing::IsOkAndHolds(::testing::IsEmpty()));
  EXPECT_THAT(this->catalog_->ListArchitectureVersions(
                  MakeArchitectureName("None"), Catalog::kNewest, 2),
              testing::StatusIs(absl::StatusCode::kNotFound));
}

TYPED_TEST_P(CatalogArchitectures,
             OneThatCheckpointsNameIsDeletedByForceAlone) {
  for (const int64_t size : {1, 2}) {
    ASSERT_OK(this->catalog_->PutArchitecture(MakeArchitecture("Net", size)));
  }
  const ArchitectureName used = MakeArchitectureName("Net/versions/1");
  this->CommitOne("one", {.architecture = used});
  for (const char* name : {"Net/versions/1", "Net"}) {
    const absl::Status status =
        this->catalog_->DeleteArchitecture(MakeArchitectureName(name), false);
    EXPECT_THAT(status,
                testing::StatusIs(absl::StatusCode::kFailedPrecondition,
                                  ::testing::HasSubstr("checkpoints/one")));
    EXPECT_EQ(GetErrorInfo(status)->reason, reason::kArchitectureInUse);
  }
  EXPECT_THAT(this->Versions("Net"), ::testing::ElementsAre(2, 1));
  // Nothing names the other one.
  EXPECT_OK(this->catalog_->DeleteArchitecture(
      MakeArchitectureName("Net/versions/2"), false));
  EXPECT_OK(
      this->catalog_->DeleteArchitecture(MakeArchitectureName("Net"), true));
  EXPECT_EQ(
      this->catalog_->GetCheckpoint(MakeCheckpointName("one"))->architecture,
      used);
}

TYPED_TEST_P(CatalogArchitectures, CheckpointsAreFoundByNameAndByVersion) {
  for (const int version : {1, 2, 1}) {
    for (const char* name : {"Net", "Other"}) {
      this->CommitOne(
          absl::StrCat("c", this->List({}, 9).size()),
          {.architecture = MakeArchitectureName(name).WithVersion(version)});
    }
  }
  const auto list = [this](const char* name) {
    return this->List({.architecture = MakeArchitectureName(name)}, 1);
  };
  EXPECT_THAT(list("Net"), ::testing::ElementsAre("c4", "c2", "c0"));
  EXPECT_THAT(list("Net/versions/1"), ::testing::ElementsAre("c4", "c0"));
  EXPECT_THAT(list("Other/versions/2"), ::testing::ElementsAre("c3"));
  EXPECT_THAT(list("Net/versions/3"), ::testing::IsEmpty());
}

TYPED_TEST_P(CatalogArchitectures, InitialValuesOutliveEveryDeletionButTheirs) {
  this->CommitOne("values");
  Architecture net = MakeArchitecture("Net", 3);
  net.initial_values = MakeCheckpointName("values");
  ASSERT_THAT(this->catalog_->PutArchitecture(net), testing::IsOkAndHolds(1));
  EXPECT_EQ(this->catalog_->GetArchitecture(MakeArchitectureName("Net"))
                ->initial_values,
            net.initial_values);
  for (const bool force : {false, true}) {
    const absl::Status status =
        this->catalog_->DeleteCheckpoint(*net.initial_values, force).status();
    EXPECT_THAT(status, testing::StatusIs(
                            absl::StatusCode::kFailedPrecondition,
                            ::testing::HasSubstr(
                                "architectures/Net/versions/1, which cannot")));
    EXPECT_EQ(GetErrorInfo(status)->reason, reason::kCheckpointInUse);
    EXPECT_OK(this->catalog_->CheckExists(*net.initial_values));
  }
  ASSERT_OK(
      this->catalog_->DeleteArchitecture(MakeArchitectureName("Net"), false));
  EXPECT_OK(this->catalog_->DeleteCheckpoint(*net.initial_values, false));
}

TYPED_TEST_P(CatalogArchitectures, EqualInitialValuesAreTheSameWherever) {
  const auto with = [](const char* checkpoint, const char* values) {
    Architecture net = MakeArchitecture("Net", 3);
    net.entries[0].initializer = StoredInit{checkpoint, Digest::Of(values)};
    net.initial_values = MakeCheckpointName(checkpoint);
    return net;
  };
  for (const char* name : {"one", "two"}) this->CommitOne(name);
  const Architecture first = with("one", "values");
  ASSERT_THAT(this->catalog_->PutArchitecture(first), testing::IsOkAndHolds(1));
  EXPECT_THAT(this->catalog_->PutArchitecture(with("two", "values")),
              testing::IsOkAndHolds(1));
  EXPECT_EQ(this->catalog_->GetArchitecture(MakeArchitectureName("Net"))
                ->initial_values,
            first.initial_values);
  EXPECT_OK(this->catalog_->DeleteCheckpoint(MakeCheckpointName("two"), false));
  EXPECT_THAT(this->catalog_->PutArchitecture(with("one", "others")),
              testing::IsOkAndHolds(2));
}

TYPED_TEST_P(CatalogArchitectures, InitialValuesMustBeThere) {
  Architecture net = MakeArchitecture("Net", 3);
  net.initial_values = MakeCheckpointName("none");
  EXPECT_THAT(this->catalog_->PutArchitecture(net),
              testing::StatusIs(absl::StatusCode::kNotFound,
                                ::testing::HasSubstr("checkpoints/none")));
  net.initial_values.reset();
  EXPECT_THAT(this->catalog_->PutArchitecture(net), testing::IsOkAndHolds(1));
}

REGISTER_TYPED_TEST_SUITE_P(
    CatalogArchitectures, AnArchitectureIsKeptAsItIsWithItsVersion,
    TheSameIsNoNewVersionWhicheverItIs, AVersionsNumberIsNeverUsedAgain,
    ANameAloneIsItsNewestVersionThatIsThere, ListsHaveTheNewestOfEachByName,
    VersionsAreListedNewestFirstBelowABound,
    OneThatCheckpointsNameIsDeletedByForceAlone,
    CheckpointsAreFoundByNameAndByVersion,
    InitialValuesOutliveEveryDeletionButTheirs,
    EqualInitialValuesAreTheSameWherever, InitialValuesMustBeThere);

}  // namespace warmstart::store

#endif  // WARMSTART_TESTS_STORE_CATALOG_ARCHITECTURES_CONTRACT_H_
