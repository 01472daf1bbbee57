// The stream of BackUpStore.

#ifndef WARMSTART_SERVER_RPC_BACKUP_STREAM_H_
#define WARMSTART_SERVER_RPC_BACKUP_STREAM_H_

#include <grpcpp/grpcpp.h>

#include "absl/status/status.h"
#include "server/service/context.h"
#include "warmstart/v1/admin.grpc.pb.h"

namespace warmstart::rpc {

using BackupStream =
    grpc::ServerReaderWriter<v1::BackUpStoreResponse, v1::BackUpStoreRequest>;

// Hears which packs the client has and sends the rest. The store keeps what is
// in the backup until it returns: CANCELLED soon after the client has gone, or
// a minute and a third after it has gone without a word (kKeepaliveMs of
// server.cc).
absl::Status SendBackup(const service::Context& context,
                        const grpc::ServerContext& call, BackupStream& stream);

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_BACKUP_STREAM_H_
