// Adapters at work: derivations that make a tensor of one shape fit another.

#ifndef WARMSTART_SERVER_PLANNER_ADAPTERS_ADAPT_H_
#define WARMSTART_SERVER_PLANNER_ADAPTERS_ADAPT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/model/architecture.h"
#include "server/model/derivation.h"
#include "server/model/shape_adapter.h"
#include "server/planner/glob.h"
#include "server/planner/plan.h"

namespace warmstart::planner {

// A tensor to adapt.
struct Misfit {
  absl::string_view key;  // of the target
  DerivationPtr value;
  TensorSpec target;
  DType dtype;  // of the result, which a policy may have left to the source
};

struct Adaptation {
  DerivationPtr value;  // of the target's shape, and of whatever dtype
  std::string words;    // "kept 10 of 1000 rows, initialized 2"
  bool fresh = false;   // some of its values are
  // Makes them, in place of the entry's initializer.
  std::optional<Initializer> initializer;
};

// What one adapter makes of `misfit`. INVALID_ARGUMENT, with a sentence that
// says why, where it does not fit.
absl::StatusOr<Adaptation> Adapt(const ShapeAdapterKind& adapter,
                                 const Misfit& misfit);

// The adapters of a request.
class AdapterSet {
 public:
  // INVALID_ARGUMENT, with the field, for an adapter that can fit nothing.
  static absl::StatusOr<AdapterSet> Create(const PlanRequest& request);

  // Adapts by the first adapter that is for the key and fits; at last, where
  // the policy is to adapt, by AutoAdapter. Nothing where none is for the key.
  // INVALID_ARGUMENT, with the reasons, where none of them fits.
  std::optional<absl::StatusOr<Adaptation>> AdaptShape(const Misfit& misfit);

  // The same for a tensor that has the target's shape: rows that labels put in
  // another order.
  std::optional<absl::StatusOr<Adaptation>> AdaptOrder(const Misfit& misfit);

  // Says of each adapter that was for no key that it was not.
  std::vector<std::string> Notes() const;

 private:
  struct Adapter {
    GlobSet keys;
    const ShapeAdapter* adapter;
    bool used = false;
  };

  std::vector<Adapter> adapters_;
  bool automatic_ = false;
};

}  // namespace warmstart::planner

#endif  // WARMSTART_SERVER_PLANNER_ADAPTERS_ADAPT_H_
