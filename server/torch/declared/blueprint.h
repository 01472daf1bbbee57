// Blueprint: the parameters and buffers of a declared model, as its layers
// declare them one after the other, and how its constructors draw them.

#ifndef WARMSTART_SERVER_TORCH_DECLARED_BLUEPRINT_H_
#define WARMSTART_SERVER_TORCH_DECLARED_BLUEPRINT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/model/architecture.h"
#include "server/model/dtype.h"
#include "server/torch/declared/layer.h"
#include "server/torch/declared/options.h"
#include "server/torch/partial_load.h"

namespace warmstart::backend::declared {

struct Blueprint {
  std::vector<ArchitectureEntry> entries;
  std::vector<ModuleVersion> modules;
  std::vector<FreshDraw> draws;
  int64_t num_bytes = 0;
  // The first thing that was too large; what is declared after it counts for
  // nothing.
  absl::Status status;
};

// A module within a blueprint. A module declares its own parameters and buffers
// first, then its children, as a state_dict lists them.
class Scope {
 public:
  // Adds the module. `path` is "" for the root; `place` opens messages.
  Scope(Blueprint& blueprint, std::string path, std::string place,
        int64_t version = 1);

  // `place` is this module's unless it is given.
  Scope Child(absl::string_view name, int64_t version = 1,
              std::string place = "");

  // Declares a parameter, which is drawn now.
  StateIndex Parameter(absl::string_view name, DType dtype, Sizes sizes,
                       const Initializer& initializer);
  // Declares one that is drawn later.
  StateIndex Undrawn(absl::string_view name, DType dtype, Sizes sizes);
  StateIndex Buffer(absl::string_view name, DType dtype, Sizes sizes,
                    const Initializer& initializer);

  // Draws what was declared, drawn already or not.
  void Draw(StateIndex index, const Initializer& initializer);

  const TensorSpec& spec(StateIndex index) const {
    return blueprint_->entries[index.index()].spec;
  }
  const absl::Status& status() const { return blueprint_->status; }

  Blueprint& blueprint() { return *blueprint_; }

 private:
  StateIndex Declare(absl::string_view name, DType dtype, Sizes sizes,
                     EntryKind kind);

  Blueprint* blueprint_;
  std::string path_;
  std::string place_;
};

}  // namespace warmstart::backend::declared

#endif  // WARMSTART_SERVER_TORCH_DECLARED_BLUEPRINT_H_
