#include "server/model/utf8.h"

#include <cstddef>
#include <cstdint>

namespace warmstart {

bool IsUtf8(absl::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    const uint8_t lead = static_cast<uint8_t>(text[i]);
    int tail = 0;
    // The first continuation byte has narrower bounds for some leads: that is
    // what excludes overlong forms, surrogates and code points past the end.
    uint8_t low = 0x80;
    uint8_t high = 0xBF;
    if (lead < 0x80) {
      ++i;
      continue;
    } else if (lead >= 0xC2 && lead <= 0xDF) {
      tail = 1;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
      tail = 2;
      if (lead == 0xE0) low = 0xA0;
      if (lead == 0xED) high = 0x9F;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
      tail = 3;
      if (lead == 0xF0) low = 0x90;
      if (lead == 0xF4) high = 0x8F;
    } else {
      return false;
    }
    if (text.size() - i <= static_cast<size_t>(tail)) return false;
    for (int k = 1; k <= tail; ++k) {
      const uint8_t byte = static_cast<uint8_t>(text[i + k]);
      if (byte < low || byte > high) return false;
      low = 0x80;
      high = 0xBF;
    }
    i += tail + 1;
  }
  return true;
}

absl::string_view Utf8Prefix(absl::string_view text, size_t limit) {
  if (text.size() <= limit) return text;
  size_t size = limit;
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) {
    --size;
  }
  return text.substr(0, size);
}

}  // namespace warmstart
