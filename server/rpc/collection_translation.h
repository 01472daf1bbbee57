// The messages of CollectGarbage, from and to what they stand for.

#ifndef WARMSTART_SERVER_RPC_COLLECTION_TRANSLATION_H_
#define WARMSTART_SERVER_RPC_COLLECTION_TRANSLATION_H_

#include "server/service/collect_garbage.h"
#include "server/store/maintenance/collection.h"
#include "warmstart/v1/admin.pb.h"

namespace warmstart::rpc {

service::CollectGarbageRequest FromProto(
    const v1::CollectGarbageRequest& proto);
void ToProto(const store::Collection& collection,
             v1::CollectGarbageResponse* proto);

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_COLLECTION_TRANSLATION_H_
