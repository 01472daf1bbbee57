#include "server/rpc/admin_service.h"

#include "server/rpc/backup_stream.h"

namespace warmstart::rpc {

grpc::Status AdminService::BackUpStore(grpc::ServerContext* call,
                                       BackupStream* stream) {
  return calls_.Answer(*call,
                       [&] { return SendBackup(context_, *call, *stream); });
}

}  // namespace warmstart::rpc
