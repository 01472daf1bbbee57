// Context: what every use case needs.

#ifndef WARMSTART_SERVER_SERVICE_CONTEXT_H_
#define WARMSTART_SERVER_SERVICE_CONTEXT_H_

#include <functional>
#include <string>

#include "absl/types/span.h"
#include "server/base/clock.h"
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
  Clock* clock = &SystemClock();
  absl::Span<const store::RetentionRule> retention_rules;
  // Takes a line on what the server did by itself; may be empty.
  std::function<void(const std::string&)> log;
};

}  // namespace warmstart::service

#endif  // WARMSTART_SERVER_SERVICE_CONTEXT_H_
