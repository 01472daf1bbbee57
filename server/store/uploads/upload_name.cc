#include "server/store/uploads/upload_name.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/store/random_id.h"

namespace warmstart::store {
namespace {

constexpr absl::string_view kUploads = "uploads/";

}  // namespace

absl::StatusOr<UploadName> UploadName::Parse(absl::string_view name) {
  absl::string_view id = name;
  if (!absl::ConsumePrefix(&id, kUploads) || !IsRandomId(id)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", name, "' is not the name of an upload; 'uploads/{id}' is"));
  }
  return UploadName(std::string(id));
}

UploadName UploadName::Random() { return UploadName(RandomId()); }

std::string UploadName::ToString() const { return absl::StrCat(kUploads, id_); }

}  // namespace warmstart::store
