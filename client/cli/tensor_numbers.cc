#include "client/cli/tensor_numbers.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace warmstart::client {
namespace {

using Reader = double (*)(const char* at);

template <typename T>
double Read(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return static_cast<double>(value);
}

// IEEE 754's binary16: a sign, 5 bits of exponent, 10 of fraction.
double ReadFloat16(const char* at) {
  const uint16_t bits = static_cast<uint16_t>(Read<uint16_t>(at));
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  const int exponent = (bits >> 10) & 0x1f;
  const int fraction = bits & 0x3ff;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  if (exponent == 0x1f) {
    return fraction == 0 ? sign * std::numeric_limits<double>::infinity()
                         : std::numeric_limits<double>::quiet_NaN();
  }
  return sign * std::ldexp(fraction + 0x400, exponent - 25);
}

// The upper half of a float32.
double ReadBFloat16(const char* at) {
  const uint32_t bits = static_cast<uint32_t>(Read<uint16_t>(at)) << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

struct Type {
  absl::string_view name;
  size_t size;
  Reader read;
};

constexpr Type kTypes[] = {
    {"float32", 4, Read<float>},   {"float64", 8, Read<double>},
    {"float16", 2, ReadFloat16},   {"bfloat16", 2, ReadBFloat16},
    {"int64", 8, Read<int64_t>},   {"int32", 4, Read<int32_t>},
    {"int16", 2, Read<int16_t>},   {"int8", 1, Read<int8_t>},
    {"uint8", 1, Read<uint8_t>},   {"bool", 1, Read<uint8_t>},
    {"uint16", 2, Read<uint16_t>}, {"uint32", 4, Read<uint32_t>},
    {"uint64", 8, Read<uint64_t>},
};

const Type* FindType(absl::string_view name) {
  for (const Type& type : kTypes) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<std::vector<double>> NumbersOf(const v1::Tensor& tensor) {
  const Type* const type = FindType(tensor.dtype());
  if (type == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("values of ", tensor.dtype(), " are not shown"));
  }
  const std::string& data = tensor.data();
  // In steps, so that no product of sizes overflows: each is at most the count
  // of what there is, once it is not 0.
  const size_t count = data.size() / type->size;
  size_t expected = 1;
  for (const int64_t size : tensor.shape()) {
    if (size < 0 ||
        (size > 0 && expected > count / static_cast<size_t>(size))) {
      expected = count + 1;
      break;
    }
    expected *= static_cast<size_t>(size);
  }
  if (expected != count || data.size() % type->size != 0) {
    return absl::DataLossError(absl::StrCat(
        "the server sent ", data.size(), " bytes that do not fit the shape"));
  }
  std::vector<double> numbers(count);
  for (size_t i = 0; i < count; ++i) {
    numbers[i] = type->read(data.data() + i * type->size);
  }
  return numbers;
}

}  // namespace warmstart::client
