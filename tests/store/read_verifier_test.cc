#include "server/store/read_verifier.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/store/store_test_util.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::store {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::warmstart::testing::StatusIs;

const std::string kBytes = "the bytes";
const std::string kDamaged = "the bites";

BlobLocation At(const PackId& pack, int64_t offset) {
  return {.blob = BlobOf(kBytes), .pack = pack, .offset = offset};
}

TEST(ReadVerifierTest, DamagedBytesAreDataLossThatSaysWhere) {
  ReadVerifier verifier(VerifyReads::kFirst);
  EXPECT_THAT(verifier.Check(At("p", 64), kDamaged),
              StatusIs(absl::StatusCode::kDataLoss,
                       AllOf(HasSubstr("offset 64 of pack p"),
                             HasSubstr(Digest::Of(kBytes).ToHex()))));
  // Each time.
  EXPECT_THAT(verifier.Check(At("p", 64), kDamaged),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST(ReadVerifierTest, WhatWasIntactIsNotLookedAtAgain) {
  ReadVerifier verifier(VerifyReads::kFirst);
  EXPECT_OK(verifier.Check(At("p", 0), kBytes));
  EXPECT_OK(verifier.Check(At("p", 0), kDamaged));
  // But in another place it is.
  EXPECT_THAT(verifier.Check(At("p", 64), kDamaged),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(verifier.Check(At("q", 0), kDamaged),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST(ReadVerifierTest, WhatTheCatalogKeepsIsLookedAtEachTime) {
  ReadVerifier verifier(VerifyReads::kFirst);
  EXPECT_OK(verifier.Check(At("", 0), kBytes));
  EXPECT_THAT(verifier.Check(At("", 0), kDamaged),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("catalog")));
}

TEST(ReadVerifierTest, APackThatWasRemovedIsForgotten) {
  ReadVerifier verifier(VerifyReads::kFirst);
  EXPECT_OK(verifier.Check(At("p", 0), kBytes));
  EXPECT_OK(verifier.Check(At("q", 0), kBytes));
  verifier.Forget("p");
  verifier.Forget("unknown");
  EXPECT_THAT(verifier.Check(At("p", 0), kDamaged),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_OK(verifier.Check(At("q", 0), kDamaged));
}

TEST(ReadVerifierTest, AtItsCapacityItBeginsAnew) {
  ReadVerifier verifier(VerifyReads::kFirst, /*capacity=*/2);
  EXPECT_OK(verifier.Check(At("p", 0), kBytes));
  EXPECT_OK(verifier.Check(At("p", 64), kBytes));
  EXPECT_OK(verifier.Check(At("p", 128), kBytes));
  EXPECT_THAT(verifier.Check(At("p", 0), kDamaged),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_OK(verifier.Check(At("p", 128), kDamaged));
}

TEST(ReadVerifierTest, NeverIsNever) {
  ReadVerifier verifier(VerifyReads::kNever);
  EXPECT_OK(verifier.Check(At("p", 0), kDamaged));
  EXPECT_OK(verifier.Check(At("", 0), kDamaged));
}

}  // namespace
}  // namespace warmstart::store
