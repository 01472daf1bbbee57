// Options: reads the arguments of a declared module.

#ifndef WARMSTART_SERVER_TORCH_DECLARED_OPTIONS_H_
#define WARMSTART_SERVER_TORCH_DECLARED_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/model/dtype.h"
#include "server/model/module_declaration.h"

namespace warmstart::backend::declared {

using Sizes = std::vector<int64_t>;

// More than any size that makes sense, and few enough for sums and small
// multiples of sizes not to overflow.
inline constexpr int64_t kMostSize = int64_t{1} << 40;

// Each getter takes one argument by its name in torch.nn. The first thing that
// is wrong is kept for Done(); from then on getters give some value that is in
// range. None stands for a left out argument only where its default is None.
class Options {
 public:
  // `module` outlives this object; `place` is where it stands in the
  // declaration, as "module.children[2]".
  Options(const ModuleDeclaration& module, std::string place)
      : module_(module), place_(std::move(place)) {}

  const ModuleDeclaration& module() const { return module_; }
  const std::string& type() const { return module_.type; }
  const std::string& place() const { return place_; }

  // A size that has to be given, or that has a default; at least 1.
  int64_t Size(absl::string_view name, int64_t most = kMostSize);
  int64_t SizeOr(absl::string_view name, int64_t fallback,
                 int64_t most = kMostSize);
  std::optional<int64_t> OptionalSize(absl::string_view name);

  // A number or a list of `rank` numbers, each at least `least`. A number
  // stands for `rank` of them.
  Sizes Tuple(absl::string_view name, size_t rank, int64_t least);
  Sizes TupleOr(absl::string_view name, size_t rank, int64_t least,
                int64_t fallback);
  std::optional<Sizes> OptionalTuple(absl::string_view name, size_t rank,
                                     int64_t least);
  // A tuple in which None stands for what the input has.
  std::vector<std::optional<int64_t>> TupleWithNones(absl::string_view name,
                                                     size_t rank);
  // A number or a list of any length but 0.
  Sizes List(absl::string_view name, int64_t least);
  // The same of fractions, or None.
  std::optional<std::vector<double>> OptionalNumbers(absl::string_view name);

  int64_t Integer(absl::string_view name);
  int64_t IntegerOr(absl::string_view name, int64_t fallback);
  std::optional<int64_t> OptionalInteger(absl::string_view name);
  double Number(absl::string_view name);
  double NumberOr(absl::string_view name, double fallback);
  std::optional<double> OptionalNumber(absl::string_view name);
  bool FlagOr(absl::string_view name, bool fallback);
  std::optional<bool> OptionalFlag(absl::string_view name);
  std::string ChoiceOr(absl::string_view name, absl::string_view fallback,
                       absl::Span<const absl::string_view> choices);
  // None, "float32" or "torch.float32"; one of those that torch.nn's layers
  // compute with.
  DType FloatType();
  // Of a Dropout: checked, and not needed.
  void Probability(absl::string_view name, double fallback);

  // Says that the argument is known, and that its value makes no difference
  // here: what it is about happens in training.
  void Ignore(absl::string_view name) { Find(name); }

  bool IsText(absl::string_view name) const;

  // Refuses the argument with `problem` unless `ok`.
  void Require(bool ok, absl::string_view name, absl::string_view problem);

  // What the getters found wrong, or an argument that none of them asked for.
  absl::Status Done();

 private:
  // Null where it was left out.
  const OptionValue* Find(absl::string_view name);
  // Null where it was left out, or is None.
  const OptionValue* FindOrNone(absl::string_view name);
  const OptionValue* FindRequired(absl::string_view name);
  void Refuse(absl::string_view name, absl::string_view problem);
  int64_t ToInteger(absl::string_view name, const OptionValue& value,
                    int64_t least, int64_t most);
  double ToNumber(absl::string_view name, const OptionValue& value);
  bool ToFlag(absl::string_view name, const OptionValue& value);
  Sizes ToTuple(absl::string_view name, const OptionValue& value, size_t rank,
                int64_t least);
  bool HasRank(absl::string_view name, const OptionValue::Tuple& tuple,
               size_t rank);

  const ModuleDeclaration& module_;
  const std::string place_;
  std::vector<std::string> known_;
  absl::Status status_;
};

}  // namespace warmstart::backend::declared

#endif  // WARMSTART_SERVER_TORCH_DECLARED_OPTIONS_H_
