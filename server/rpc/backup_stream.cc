#include "server/rpc/backup_stream.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/base/status_macros.h"
#include "server/service/backup.h"

namespace warmstart::rpc {
namespace {

using ::google::protobuf::util::TimeUtil;

constexpr size_t kChunkBytes = 1024 * 1024;
constexpr size_t kNamesInMessage = 10'000;

absl::StatusOr<service::HeldPacks> ReadHeldPacks(BackupStream& stream) {
  service::HeldPacks held;
  v1::BackUpStoreRequest request;
  while (stream.Read(&request)) {
    for (const v1::HeldPack& pack : request.held_packs()) {
      RETURN_IF_ERROR(held.Add(pack.name(), pack.size_bytes(), pack.partial()));
    }
  }
  return held;
}

absl::Status Write(BackupStream& stream,
                   const v1::BackUpStoreResponse& message) {
  return stream.Write(message)
             ? absl::OkStatus()
             : absl::CancelledError("the client stopped reading");
}

absl::Status SendSummary(const service::Backup& backup, BackupStream& stream) {
  v1::BackUpStoreResponse message;
  v1::BackupSummary& summary = *message.mutable_summary();
  *summary.mutable_snapshot_time() =
      TimeUtil::NanosecondsToTimestamp(absl::ToUnixNanos(backup.time()));
  summary.set_pack_count(backup.num_packs());
  summary.set_pack_bytes(backup.pack_bytes());
  summary.set_catalog_bytes(backup.catalog_bytes());
  summary.set_bytes_to_send(backup.bytes_to_send());
  return Write(stream, message);
}

absl::Status SendKept(const std::vector<std::string>& names,
                      BackupStream& stream) {
  for (size_t begin = 0; begin < names.size(); begin += kNamesInMessage) {
    const size_t end = std::min(names.size(), begin + kNamesInMessage);
    v1::BackUpStoreResponse message;
    message.mutable_kept()->mutable_names()->Add(names.begin() + begin,
                                                 names.begin() + end);
    RETURN_IF_ERROR(Write(stream, message));
  }
  return absl::OkStatus();
}

absl::Status SendFile(const service::BackupFile& file, service::Backup& backup,
                      BackupStream& stream) {
  v1::BackUpStoreResponse message;
  message.mutable_file()->set_pack(file.pack);
  message.mutable_file()->set_size_bytes(file.num_bytes);
  message.mutable_file()->set_offset(file.offset);
  RETURN_IF_ERROR(Write(stream, message));
  while (true) {
    const absl::string_view bytes = backup.Read(kChunkBytes);
    if (bytes.empty()) break;
    message.mutable_chunk()->assign(bytes.data(), bytes.size());
    RETURN_IF_ERROR(Write(stream, message));
  }
  message.set_sha256(backup.FinishFile().ToHex());
  return Write(stream, message);
}

}  // namespace

absl::Status SendBackup(const service::Context& context,
                        const grpc::ServerContext& call, BackupStream& stream) {
  ASSIGN_OR_RETURN(const service::HeldPacks held, ReadHeldPacks(stream));
  // A client that is gone has ended its side, too.
  if (call.IsCancelled()) return absl::CancelledError("the client is gone");
  ASSIGN_OR_RETURN(const std::unique_ptr<service::Backup> backup,
                   service::Backup::Begin(context, held));
  RETURN_IF_ERROR(SendSummary(*backup, stream));
  RETURN_IF_ERROR(SendKept(backup->kept(), stream));
  while (true) {
    ASSIGN_OR_RETURN(const std::optional<service::BackupFile> file,
                     backup->NextFile());
    if (!file.has_value()) return absl::OkStatus();
    RETURN_IF_ERROR(SendFile(*file, *backup, stream));
  }
}

}  // namespace warmstart::rpc
