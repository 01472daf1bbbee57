#include "server/format/safetensors/safetensors_dtype.h"

#include "gtest/gtest.h"

namespace warmstart::format {
namespace {

TEST(SafetensorsDTypeTest, NamesAndTypesFindEachOther) {
  int known = 0;
  for (DType dtype : kAllDTypes) {
    const SafetensorsDType* type = FindSafetensorsDType(dtype);
    if (type == nullptr) continue;
    ++known;
    EXPECT_EQ(FindSafetensorsDType(type->name), type);
    EXPECT_EQ(type->bits, 8 * DTypeSize(dtype)) << type->name;
  }
  EXPECT_EQ(known, 19);
}

TEST(SafetensorsDTypeTest, ComplexTypesOtherThan64AreNotThere) {
  EXPECT_EQ(FindSafetensorsDType(DType::kComplex32), nullptr);
  EXPECT_EQ(FindSafetensorsDType(DType::kComplex128), nullptr);
}

TEST(SafetensorsDTypeTest, TypesSmallerThanAByteAreNamedButNotOurs) {
  for (absl::string_view name : {"F4", "F6_E2M3", "F6_E3M2"}) {
    const SafetensorsDType* type = FindSafetensorsDType(name);
    ASSERT_NE(type, nullptr) << name;
    EXPECT_LT(type->bits, 8);
    EXPECT_FALSE(type->dtype.has_value());
  }
}

TEST(SafetensorsDTypeTest, UnknownNamesAreNotFound) {
  EXPECT_EQ(FindSafetensorsDType("f32"), nullptr);
  EXPECT_EQ(FindSafetensorsDType(""), nullptr);
}

}  // namespace
}  // namespace warmstart::format
