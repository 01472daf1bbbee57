#include "server/service/lost_tensor.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/base/error_info.h"
#include "server/model/digest.h"

namespace warmstart::service {
namespace {

bool Needs(const Manifest& manifest, const ManifestEntry& entry,
           const Digest& digest) {
  return entry.digest == digest ||
         (entry.view.has_value() &&
          manifest.storages[entry.view->storage].digest == digest);
}

}  // namespace

absl::Status NameLostTensor(const absl::Status& status,
                            const CheckpointName& checkpoint,
                            const Manifest& manifest) {
  const std::optional<ErrorInfo> info = GetErrorInfo(status);
  if (!absl::IsDataLoss(status) || !info.has_value()) return status;
  const auto text = info->metadata.find("digest");
  if (text == info->metadata.end()) return status;
  const absl::StatusOr<Digest> digest = Digest::FromHex(text->second);
  if (!digest.ok()) return status;
  for (const ManifestEntry& entry : manifest.entries) {
    if (!Needs(manifest, entry, *digest)) continue;
    std::map<std::string, std::string> metadata = info->metadata;
    metadata["checkpoint"] = checkpoint.ToString();
    metadata["key"] = entry.key;
    return WithErrorInfo(
        absl::DataLossError(absl::StrCat("tensor '", entry.key, "' of ",
                                         checkpoint.ToString(),
                                         " is lost: ", status.message())),
        info->reason, std::move(metadata));
  }
  return status;
}

}  // namespace warmstart::service
