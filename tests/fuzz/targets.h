// What the fuzzers do with an input, one function for each of them. All of them
// read it, check what every reader promises, and write and read it once more;
// they abort where a promise is broken.

#ifndef WARMSTART_TESTS_FUZZ_TARGETS_H_
#define WARMSTART_TESTS_FUZZ_TARGETS_H_

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace warmstart::fuzz {

// The input is the file.
void FuzzTorchZip(absl::string_view input);
void FuzzTorchLegacy(absl::string_view input);
void FuzzTorchTar(absl::string_view input);
void FuzzSafetensors(absl::string_view input);

// The input is the pickle of a zip archive that is fine otherwise (checksums
// keep mutations of whole archives from getting far), then kStorageSizes and
// the sizes of the storages "0", "1", ... in bytes, with commas between them.
void FuzzPickle(absl::string_view input);
inline constexpr absl::string_view kStorageSizes = "\nstorages:";

// The input is the header of a .safetensors file that is fine otherwise.
void FuzzSafetensorsHeader(absl::string_view input);

// The input is several files, with kFileSeparator between them; the first line
// of each is its name. Where the rest starts with kShardOfKeys, it is a list of
// keys, one a line, and the file a shard with tensors of these keys.
void FuzzShardedSet(absl::string_view input);
inline constexpr absl::string_view kFileSeparator = "\n--file--\n";
inline constexpr absl::string_view kShardOfKeys = "keys:\n";

struct Target {
  absl::string_view name;  // of its fuzzer and of its folders
  void (*run)(absl::string_view input);
};
absl::Span<const Target> Targets();

}  // namespace warmstart::fuzz

#endif  // WARMSTART_TESTS_FUZZ_TARGETS_H_
