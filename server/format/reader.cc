#include "server/format/reader.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/base/status_macros.h"
#include "server/format/key_check.h"
#include "server/format/read_one.h"
#include "server/format/sharded/sharded_set.h"

namespace warmstart::format {
namespace {

absl::Status CheckHasTensors(const FileContents& contents,
                             const FileView& first_file) {
  constexpr size_t kMaxNamed = 5;
  if (!contents.tensors.empty()) return absl::OkStatus();
  std::string message = absl::StrCat(QuoteForMessage(first_file.name),
                                     ": there is no tensor to read");
  const size_t named = std::min(kMaxNamed, contents.skipped.size());
  for (size_t i = 0; i < named; ++i) {
    const SkippedValue& value = contents.skipped[i];
    absl::StrAppend(&message, i == 0 ? "; skipped: " : ", ", "'", value.path,
                    "' (", value.reason, ")");
  }
  if (named < contents.skipped.size()) {
    absl::StrAppend(&message, " and ", contents.skipped.size() - named,
                    " more");
  }
  return absl::InvalidArgumentError(message);
}

}  // namespace

absl::StatusOr<FileContents> ReadFiles(absl::Span<const FileView> files) {
  if (files.empty()) return absl::InvalidArgumentError("there is no file");
  ASSIGN_OR_RETURN(FileContents contents, files.size() == 1
                                              ? ReadOne(files[0])
                                              : ReadShardedSet(files));
  RETURN_IF_ERROR(CheckHasTensors(contents, files[0]));
  return contents;
}

}  // namespace warmstart::format
