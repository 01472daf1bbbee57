#include "server/model/digest.h"

#include <string>

#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart {
namespace {

using ::warmstart::testing::IsOkAndHolds;
using ::warmstart::testing::StatusIs;

// From FIPS 180-2.
constexpr char kAbc[] =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
constexpr char kEmpty[] =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST(DigestTest, IsSha256) {
  EXPECT_EQ(Digest::Of("abc").ToHex(), kAbc);
  EXPECT_EQ(Digest::Of("").ToHex(), kEmpty);
}

TEST(DigestTest, OfPiecesIsThatOfTheWhole) {
  Hasher hasher;
  hasher.Update("a");
  hasher.Update("");
  hasher.Update("bc");
  EXPECT_EQ(hasher.Finish(), Digest::Of("abc"));
}

TEST(DigestTest, HexAndBytesComeBack) {
  EXPECT_THAT(Digest::FromHex(kAbc), IsOkAndHolds(Digest::Of("abc")));
  EXPECT_THAT(Digest::FromHex(std::string("sha256:") + kAbc),
              IsOkAndHolds(Digest::Of("abc")));
  EXPECT_THAT(Digest::FromBytes(Digest::Of("abc").bytes()),
              IsOkAndHolds(Digest::Of("abc")));
}

TEST(DigestTest, OtherTextIsRefused) {
  for (const std::string& text :
       {std::string(), std::string("sha256:"), std::string(63, 'a'),
        std::string(65, 'a'), std::string(64, 'g'),
        "sha1:" + std::string(64, 'a')}) {
    EXPECT_THAT(Digest::FromHex(text),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << text;
  }
  EXPECT_THAT(Digest::FromBytes("short"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(DigestTest, OrdersByBytes) {
  const Digest low = Digest::FromHex(std::string(64, '1')).value();
  const Digest high = Digest::FromHex(std::string(64, 'f')).value();
  EXPECT_LT(low, high);
  EXPECT_NE(low, high);
}

}  // namespace
}  // namespace warmstart
