// LoRA adapters, merged into what the other sources supply.

#ifndef WARMSTART_SERVER_PLANNER_COMBINING_LORA_H_
#define WARMSTART_SERVER_PLANNER_COMBINING_LORA_H_

#include <cstddef>

#include "absl/status/status.h"
#include "server/planner/combining/combine.h"
#include "server/planner/plan.h"
#include "server/planner/source_keys.h"

namespace warmstart::planner {

// Merges source `index` of the request, an adapter whose keys are `adapter`, as
// PEFT's merge_and_unload does: linear and embedding layers, convolutions, and
// the biases of lora_B. Weights that the adapter brings whole
// (modules_to_save, trained biases) take the place of the base's. Keys are
// PEFT's, with or without "base_model.model." and the adapter's name.
//   INVALID_ARGUMENT  half of a pair, a pair without a base, shapes that do not
//                     fit, a kind of adapter that is not supported (DoRA);
//                     names the key
absl::Status MergeLora(const PlanRequest& request, size_t index,
                       const SourceKeys& adapter, const TargetIndex& target,
                       Supplies* supplies);

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_COMBINING_LORA_H_
