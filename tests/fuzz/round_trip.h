// Whether what a reader returned can be written and read again.

#ifndef WARMSTART_TESTS_FUZZ_ROUND_TRIP_H_
#define WARMSTART_TESTS_FUZZ_ROUND_TRIP_H_

#include "absl/types/span.h"
#include "server/format/file_contents.h"

namespace warmstart::fuzz {

// Writes the tensors of `contents` as .pt and .safetensors and reads both.
// Aborts where keys, types, shapes, values, the sharing of storages or module
// versions differ. Does nothing where there are too many values for that.
void CheckRoundTrip(absl::Span<const format::FileView> files,
                    const format::FileContents& contents);

}  // namespace warmstart::fuzz

#endif  // WARMSTART_TESTS_FUZZ_ROUND_TRIP_H_
