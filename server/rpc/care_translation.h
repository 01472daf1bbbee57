// From what looking after the store finds to the messages of Admin.

#ifndef WARMSTART_SERVER_RPC_CARE_TRANSLATION_H_
#define WARMSTART_SERVER_RPC_CARE_TRANSLATION_H_

#include "server/store/care.h"
#include "warmstart/v1/admin.pb.h"

namespace warmstart::rpc {

void ToProto(const store::ScrubProgress& progress, v1::ScrubProgress* proto);
void ToProto(const store::ScrubResult& result, v1::ScrubResult* proto);
void ToProto(const store::Damage& damage,
             v1::ListDamagedTensorsResponse* proto);
void ToProto(const store::CheckResult& result, v1::CheckStoreResponse* proto);

}  // namespace warmstart::rpc

#endif  // WARMSTART_SERVER_RPC_CARE_TRANSLATION_H_
