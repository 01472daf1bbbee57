#include "server/planner/torch_messages.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace warmstart::planner {
namespace {

std::string ReprList(absl::Span<const std::string> keys) {
  return absl::StrCat(
      "[",
      absl::StrJoin(keys, ", ",
                    [](std::string* out, const std::string& key) {
                      out->append(PythonRepr(key));
                    }),
      "]");
}

std::string QuotedList(absl::Span<const std::string> keys) {
  return absl::StrJoin(keys, ", ",
                       [](std::string* out, const std::string& key) {
                         absl::StrAppend(out, "\"", key, "\"");
                       });
}

}  // namespace

std::string PythonRepr(absl::string_view text) {
  // As Python: single quotes, unless the text has those and no double ones.
  const bool has_single = text.find('\'') != absl::string_view::npos;
  const bool has_double = text.find('"') != absl::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  std::string repr(1, quote);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\' || c == quote) {
      repr.push_back('\\');
      repr.push_back(c);
    } else if (c == '\n') {
      repr.append("\\n");
    } else if (c == '\r') {
      repr.append("\\r");
    } else if (c == '\t') {
      repr.append("\\t");
    } else if (byte < 0x20 || byte == 0x7F) {
      absl::StrAppendFormat(&repr, "\\x%02x", byte);
    } else {
      repr.push_back(c);  // printable, as nearly all beyond ASCII is
    }
  }
  repr.push_back(quote);
  return repr;
}

std::string IncompatibleKeysRepr(absl::Span<const std::string> missing,
                                 absl::Span<const std::string> unexpected) {
  if (missing.empty() && unexpected.empty()) {
    return "<All keys matched successfully>";
  }
  return absl::StrCat("_IncompatibleKeys(missing_keys=", ReprList(missing),
                      ", unexpected_keys=", ReprList(unexpected), ")");
}

std::string SizeMismatchMessage(absl::string_view key, const Shape& source,
                                const Shape& target) {
  return absl::StrCat("size mismatch for ", key,
                      ": copying a param with shape ", source.ToTorchString(),
                      " from checkpoint, the shape in current model is ",
                      target.ToTorchString(), ".");
}

std::string MissingKeysMessage(absl::Span<const std::string> keys) {
  return absl::StrCat("Missing key(s) in state_dict: ", QuotedList(keys), ". ");
}

std::string UnexpectedKeysMessage(absl::Span<const std::string> keys) {
  return absl::StrCat("Unexpected key(s) in state_dict: ", QuotedList(keys),
                      ". ");
}

std::string LoadingErrorMessage(absl::string_view class_name,
                                absl::Span<const std::string> errors) {
  return absl::StrCat("Error(s) in loading state_dict for ", class_name,
                      ":\n\t", absl::StrJoin(errors, "\n\t"));
}

}  // namespace warmstart::planner
