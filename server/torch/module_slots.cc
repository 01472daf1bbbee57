#include "server/torch/module_slots.h"

#include "absl/strings/str_cat.h"

namespace warmstart::backend {

std::vector<Slot> SlotsOf(torch::nn::Module& module) {
  std::vector<Slot> slots;
  for (const auto& item : module.named_modules()) {
    const torch::nn::Module* owner = item.value().get();
    const std::string prefix =
        item.key().empty() ? "" : absl::StrCat(item.key(), ".");
    for (const auto& parameter : owner->named_parameters(/*recurse=*/false)) {
      slots.push_back({absl::StrCat(prefix, parameter.key()), parameter.value(),
                       EntryKind::kParameter, owner});
    }
    for (const auto& buffer : owner->named_buffers(/*recurse=*/false)) {
      slots.push_back({absl::StrCat(prefix, buffer.key()), buffer.value(),
                       EntryKind::kBuffer, owner});
    }
  }
  return slots;
}

}  // namespace warmstart::backend
