// What every reader promises of what it returns, checked.

#ifndef WARMSTART_TESTS_FUZZ_CONTENTS_CHECKS_H_
#define WARMSTART_TESTS_FUZZ_CONTENTS_CHECKS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/types/span.h"
#include "server/format/file_contents.h"

namespace warmstart::fuzz {

// Aborts unless storages lie inside of their files and apart from each other,
// every element of every tensor lies inside of its storage, keys are as
// CheckKey wants them and unique, all text is UTF-8, the metadata is a JSON
// object, and nothing is out of proportion to the files.
void CheckContents(absl::Span<const format::FileView> files,
                   const format::FileContents& contents);

// The tensor's values, by way of ForEachPiece. None where they have more than
// `max_bytes`; the first of them were looked at then. Aborts where pieces are
// too large or too many, or not the file's own bytes where IsContiguous says
// so.
std::optional<std::string> ReadValues(absl::Span<const format::FileView> files,
                                      const format::FileContents& contents,
                                      const format::FileTensor& tensor,
                                      int64_t max_bytes);

}  // namespace warmstart::fuzz

#endif  // WARMSTART_TESTS_FUZZ_CONTENTS_CHECKS_H_
