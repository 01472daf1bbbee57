#include "client/cli/checkpoint_text.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "client/cli/text.h"

namespace warmstart::client {
namespace {

std::string UploadText(const v1::Origin::Upload& upload) {
  if (!upload.has_delta()) {
    return absl::StrCat("upload of ", absl::StrJoin(upload.files(), ", "), " (",
                        upload.format(), ")");
  }
  return absl::StrCat("upload by manifest, which brought ",
                      FormatBytes(upload.delta().size_bytes()), " of it");
}

}  // namespace

std::string CheckpointLine(const v1::Checkpoint& checkpoint) {
  std::vector<std::string> facts;
  if (!checkpoint.architecture().empty()) {
    facts.push_back(ArchitectureName(checkpoint.architecture()));
  }
  facts.push_back(Plural(checkpoint.tensor_count(), "tensor"));
  facts.push_back(FormatBytes(checkpoint.size_bytes()));
  facts.insert(facts.end(), checkpoint.aliases().begin(),
               checkpoint.aliases().end());
  return Printable(
      absl::StrCat(checkpoint.name(), ": ", absl::StrJoin(facts, ", ")));
}

std::string OriginText(const v1::Origin& origin) {
  switch (origin.kind_case()) {
    case v1::Origin::kUpload:
      return UploadText(origin.upload());
    case v1::Origin::kInitialization:
      return absl::StrCat("fresh model; seed ", origin.initialization().seed(),
                          "; on ", origin.initialization().device());
    case v1::Origin::kWarmStart:
      return absl::StrCat("warm start from ",
                          absl::StrJoin(origin.warm_start().sources(), ", "),
                          "; seed ", origin.warm_start().seed(), "; on ",
                          origin.warm_start().device());
    case v1::Origin::KIND_NOT_SET:
      break;
  }
  return "";
}

std::vector<std::string> OriginSources(const v1::Origin& origin) {
  const auto& sources = origin.warm_start().sources();
  return {sources.begin(), sources.end()};
}

std::string LabelsText(
    const google::protobuf::Map<std::string, std::string>& labels) {
  const std::map<std::string, std::string> sorted(labels.begin(), labels.end());
  return absl::StrJoin(sorted, ", ", absl::PairFormatter("="));
}

std::string ArchitectureName(absl::string_view resource) {
  return std::string(absl::StripPrefix(resource, "architectures/"));
}

}  // namespace warmstart::client
