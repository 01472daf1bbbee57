// Context: what every use case needs.

#ifndef WARMSTART_SERVER_SERVICE_CONTEXT_H_
#define WARMSTART_SERVER_SERVICE_CONTEXT_H_

#include <string>

#include "server/service/architecture_registry.h"
#include "server/service/resident_models.h"
#include "server/store/store.h"

namespace warmstart::service {

// All of it is borrowed and outlives the use cases.
struct Context {
  store::Store* store = nullptr;
  ArchitectureRegistry* architectures = nullptr;
  std::string default_device = "cpu";  // as ResolveDevice takes it
  ResidentModels* resident_models = nullptr;
};

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_CONTEXT_H_
