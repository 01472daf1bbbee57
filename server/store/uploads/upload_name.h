// UploadName: the name under which an upload goes, uploads/{id}.

#ifndef WARMSTART_SERVER_STORE_UPLOADS_UPLOAD_NAME_H_
#define WARMSTART_SERVER_STORE_UPLOADS_UPLOAD_NAME_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace warmstart::store {

// Its id is a RandomId, 32 hexadecimal digits: also a good part of a file's
// name.
class UploadName {
 public:
  UploadName() = default;

  // Takes "uploads/{id}"; INVALID_ARGUMENT for anything else.
  static absl::StatusOr<UploadName> Parse(absl::string_view name);
  // A name that nobody has.
  static UploadName Random();

  const std::string& id() const { return id_; }
  std::string ToString() const;

  friend bool operator==(const UploadName&, const UploadName&) = default;
  friend bool operator<(const UploadName& a, const UploadName& b) {
    return a.id_ < b.id_;
  }

 private:
  explicit UploadName(std::string id) : id_(std::move(id)) {}

  std::string id_;
};

}  // namespace warmstart::store

#endif  // WARMSTART_SERVER_STORE_UPLOADS_UPLOAD_NAME_H_
