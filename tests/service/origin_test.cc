#include "server/service/origin.h"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/testing/status_matchers.h"

namespace warmstart::service {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::warmstart::testing::StatusIs;

template <typename Kind>
Kind RoundTrip(const Kind& origin) {
  const absl::StatusOr<Origin> decoded = OriginFromJson(OriginToJson(origin));
  EXPECT_OK(decoded);
  if (!decoded.ok() || !std::holds_alternative<Kind>(*decoded)) {
    ADD_FAILURE() << "another kind came back";
    return {};
  }
  return std::get<Kind>(*decoded);
}

CheckpointName NameOf(const std::string& id) {
  return CheckpointName::Parse("checkpoints/" + id).value();
}

TEST(OriginTest, AnUploadComesBack) {
  UploadOrigin origin;
  origin.files = {"model-00001.safetensors", "", "ünïcode \"quoted\" \\ \n"};
  origin.format = "safetensors";
  origin.skipped = {{"optimizer.state", "object of class foo.Bar"},
                    {"x", "sparse tensor"}};
  const UploadOrigin decoded = RoundTrip(origin);
  EXPECT_EQ(decoded.files, origin.files);
  EXPECT_EQ(decoded.format, origin.format);
  ASSERT_EQ(decoded.skipped.size(), 2);
  EXPECT_EQ(decoded.skipped[0].path, "optimizer.state");
  EXPECT_EQ(decoded.skipped[0].reason, "object of class foo.Bar");
  EXPECT_EQ(decoded.skipped[1].path, "x");
}

TEST(OriginTest, AnUploadByManifestComesBack) {
  UploadOrigin origin;
  EXPECT_EQ(RoundTrip(origin).delta, std::nullopt);
  origin.delta = DeltaOrigin{3, int64_t{1} << 40};
  EXPECT_EQ(RoundTrip(origin).delta, origin.delta);
}

TEST(OriginTest, AnEmptyUploadComesBack) {
  const UploadOrigin decoded = RoundTrip(UploadOrigin{});
  EXPECT_THAT(decoded.files, IsEmpty());
  EXPECT_THAT(decoded.skipped, IsEmpty());
}

TEST(OriginTest, AFreshModelComesBackWithEveryBitOfItsSeed) {
  for (const uint64_t seed : {uint64_t{0}, uint64_t{1} << 53, UINT64_MAX}) {
    const InitializationOrigin decoded =
        RoundTrip(InitializationOrigin{seed, "cuda:3"});
    EXPECT_EQ(decoded.seed, seed);
    EXPECT_EQ(decoded.device, "cuda:3");
  }
}

TEST(OriginTest, AWarmStartComesBackWithItsSourcesInOrder) {
  const WarmStartOrigin decoded =
      RoundTrip(WarmStartOrigin{{NameOf("b"), NameOf("a")}, 7, "cpu"});
  EXPECT_THAT(decoded.sources, ElementsAre(NameOf("b"), NameOf("a")));
  EXPECT_EQ(decoded.seed, 7);
  EXPECT_EQ(decoded.device, "cpu");
  EXPECT_EQ(decoded.request, std::nullopt);
}

TEST(OriginTest, ARecordedRequestComesBackAsItWas) {
  for (const char* request : {"", R"({"strict":true})"}) {
    EXPECT_EQ(RoundTrip(WarmStartOrigin{{}, 7, "cpu", request}).request,
              request);
  }
}

TEST(OriginTest, OriginsFromBeforeRequestsWereRecordedAreRead) {
  ASSERT_OK_AND_ASSIGN(
      const Origin origin,
      OriginFromJson(R"({"kind":"warm_start","sources":["checkpoints/a"],)"
                     R"("seed":7,"device":"cpu"})"));
  EXPECT_EQ(std::get<WarmStartOrigin>(origin).request, std::nullopt);
}

TEST(OriginTest, APlainRequestAddsFewBytes) {
  const WarmStartOrigin without{{NameOf("a")}, 7, "cpu"};
  WarmStartOrigin with = without;
  with.request = "";
  EXPECT_EQ(OriginToJson(with).size() - OriginToJson(without).size(), 13);
}

TEST(OriginTest, TextThatIsNoUtf8IsReplacedRatherThanRefused) {
  UploadOrigin origin;
  origin.files = {
      "a\xFF"
      "b"};
  EXPECT_THAT(RoundTrip(origin).files, ElementsAre("a\xEF\xBF\xBD"
                                                   "b"));
}

TEST(OriginTest, ARequestThatIsNoTextIsDataLoss) {
  EXPECT_THAT(OriginFromJson(R"({"kind":"warm_start","sources":[],"seed":1,)"
                             R"("device":"cpu","request":1})"),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST(OriginTest, OtherTextIsDataLoss) {
  for (const char* text :
       {"", "null", "[]", "{", "{}", R"({"kind":"upload"})",
        R"({"kind":"other"})", R"({"kind":1})",
        R"({"kind":"upload","files":"x","format":"","skipped":[]})",
        R"({"kind":"upload","files":[],"format":"","skipped":[1]})",
        R"({"kind":"initialization","seed":"1","device":"cpu"})",
        R"({"kind":"initialization","seed":1})",
        R"({"kind":"warm_start","seed":1,"device":"cpu","sources":["x"]})",
        R"({"kind":"warm_start","seed":1,"device":"cpu","sources":[1]})"}) {
    EXPECT_THAT(OriginFromJson(text), StatusIs(absl::StatusCode::kDataLoss))
        << text;
  }
}

}  // namespace
}  // namespace warmstart::service
