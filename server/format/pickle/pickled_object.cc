#include "server/format/pickle/pickled_object.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace warmstart::format {
namespace {

struct KnownClass {
  absl::string_view module;
  absl::string_view name;
};

constexpr KnownClass kDictClasses[] = {
    {"collections", "OrderedDict"},
    {"collections", "defaultdict"},
    {"collections", "Counter"},
    {"builtins", "dict"},
};

constexpr KnownClass kListClasses[] = {
    {"builtins", "list"},      {"builtins", "tuple"},    {"builtins", "set"},
    {"builtins", "frozenset"}, {"collections", "deque"}, {"torch", "Size"},
};

// Helpers whose first argument is the class of what they make.
constexpr KnownClass kMakers[] = {
    {"copyreg", "_reconstructor"},
    {"copyreg", "__newobj__"},
    {"copyreg", "__newobj_ex__"},
    {"numpy.core.multiarray", "_reconstruct"},
    {"numpy._core.multiarray", "_reconstruct"},
};

constexpr absl::string_view kTorchScriptModule = "torch.jit._pickle";

// Python 2's name of a module in Python 3, as pickle's fix_imports has it.
absl::string_view ModernModule(absl::string_view module) {
  if (module == "__builtin__") return "builtins";
  if (module == "copy_reg") return "copyreg";
  return module;
}

bool IsAnyOf(const PickleHeap& heap, PickleId id,
             absl::Span<const KnownClass> classes) {
  for (const KnownClass& known : classes) {
    if (IsGlobal(heap, id, known.module, known.name)) return true;
  }
  return false;
}

void AppendTo(std::vector<PickleId>& items, absl::Span<const PickleId> more) {
  items.insert(items.end(), more.begin(), more.end());
}

bool IsSequence(const PickleHeap& heap, PickleId id) {
  return heap.kind(id) == PickleKind::kTuple ||
         heap.kind(id) == PickleKind::kList ||
         heap.kind(id) == PickleKind::kSet;
}

// What a dict is made from: another dict, or a sequence of pairs.
void AppendDictArgument(const PickleHeap& heap, PickleId argument,
                        std::vector<PickleId>& items) {
  if (heap.kind(argument) == PickleKind::kDict) {
    AppendTo(items, heap.Items(argument));
    return;
  }
  if (!IsSequence(heap, argument)) return;  // a defaultdict's factory
  for (PickleId pair : heap.Items(argument)) {
    // Stops at nonsense rather than look on: callers pay for the items that
    // they get, and a hostile file must not make them pay for others.
    if (!IsSequence(heap, pair) || heap.Items(pair).size() != 2) return;
    AppendTo(items, heap.Items(pair));
  }
}

}  // namespace

bool IsGlobal(const PickleHeap& heap, PickleId id, absl::string_view module,
              absl::string_view name) {
  if (id == kNoPickleId || heap.kind(id) != PickleKind::kGlobal) return false;
  const PickleGlobal& global = heap.Global(id);
  return global.name == name && ModernModule(global.module) == module;
}

std::string GlobalName(const PickleHeap& heap, PickleId id) {
  if (id == kNoPickleId || heap.kind(id) != PickleKind::kGlobal) return "?";
  constexpr size_t kMaxPart = 100;
  const PickleGlobal& global = heap.Global(id);
  return absl::StrCat(
      absl::CHexEscape(ModernModule(global.module).substr(0, kMaxPart)), ".",
      absl::CHexEscape(global.name.substr(0, kMaxPart)));
}

PickleId ClassOf(const PickleHeap& heap, PickleId object) {
  PickleId callable = heap.Object(object).callable;
  // Whole modules of the legacy format: ("module", class, file, source text).
  if (heap.kind(callable) == PickleKind::kPersistent) {
    const PickleId what = heap.Persistent(callable);
    if (heap.kind(what) == PickleKind::kTuple && heap.Items(what).size() > 1) {
      callable = heap.Items(what)[1];
    }
  }
  const absl::Span<const PickleId> arguments = ArgumentsOf(heap, object);
  if (!arguments.empty() && IsAnyOf(heap, callable, kMakers)) {
    return arguments[0];
  }
  return callable;
}

absl::Span<const PickleId> ArgumentsOf(const PickleHeap& heap,
                                       PickleId object) {
  const PickleId arguments = heap.Object(object).arguments;
  if (heap.kind(arguments) != PickleKind::kTuple) return {};
  return heap.Items(arguments);
}

PickleId FindItem(const PickleHeap& heap, absl::Span<const PickleId> items,
                  absl::string_view key) {
  PickleId found = kNoPickleId;
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    if (heap.kind(items[i]) == PickleKind::kString &&
        heap.Text(items[i]) == key) {
      found = items[i + 1];
    }
  }
  return found;
}

bool GetAttributes(const PickleHeap& heap, PickleId object,
                   std::vector<PickleId>* items) {
  const PickleId state = heap.Object(object).state;
  if (state == kNoPickleId) return false;
  if (heap.kind(state) == PickleKind::kDict) {
    AppendTo(*items, heap.Items(state));
    return true;
  }
  if (heap.kind(state) != PickleKind::kTuple || heap.Items(state).size() != 2) {
    return false;
  }
  for (PickleId part : heap.Items(state)) {
    if (heap.kind(part) != PickleKind::kDict &&
        heap.kind(part) != PickleKind::kNone) {
      return false;
    }
  }
  for (PickleId part : heap.Items(state)) {
    if (heap.kind(part) == PickleKind::kDict) {
      AppendTo(*items, heap.Items(part));
    }
  }
  return true;
}

bool GetDictItems(const PickleHeap& heap, PickleId id,
                  std::vector<PickleId>* items) {
  if (heap.kind(id) == PickleKind::kDict) {
    AppendTo(*items, heap.Items(id));
    return true;
  }
  if (heap.kind(id) != PickleKind::kObject) return false;
  const PickleId dict_items = heap.Object(id).dict_items;
  if (IsAnyOf(heap, ClassOf(heap, id), kDictClasses)) {
    for (PickleId argument : ArgumentsOf(heap, id)) {
      AppendDictArgument(heap, argument, *items);
    }
  } else if (dict_items == kNoPickleId) {
    return false;
  }
  if (dict_items != kNoPickleId) AppendTo(*items, heap.Items(dict_items));
  return true;
}

bool GetListItems(const PickleHeap& heap, PickleId id,
                  std::vector<PickleId>* items) {
  if (IsSequence(heap, id)) {
    AppendTo(*items, heap.Items(id));
    return true;
  }
  if (heap.kind(id) != PickleKind::kObject) return false;
  const PickleId list_items = heap.Object(id).list_items;
  if (IsAnyOf(heap, ClassOf(heap, id), kListClasses)) {
    for (PickleId argument : ArgumentsOf(heap, id)) {
      if (IsSequence(heap, argument)) AppendTo(*items, heap.Items(argument));
    }
  } else if (list_items == kNoPickleId) {
    return false;
  }
  if (list_items != kNoPickleId) AppendTo(*items, heap.Items(list_items));
  return true;
}

PickleId LookThroughTags(const PickleHeap& heap, PickleId id) {
  // TorchScript nests two; a hostile file could nest any number.
  for (int i = 0; i < 4 && heap.kind(id) == PickleKind::kObject; ++i) {
    const PickleId callable = heap.Object(id).callable;
    const absl::Span<const PickleId> arguments = ArgumentsOf(heap, id);
    if (arguments.empty() || heap.kind(callable) != PickleKind::kGlobal) break;
    const PickleGlobal& global = heap.Global(callable);
    if (global.module != kTorchScriptModule ||
        (global.name != "restore_type_tag" &&
         !(absl::StartsWith(global.name, "build_") &&
           absl::EndsWith(global.name, "list")))) {
      break;
    }
    id = arguments[0];
  }
  return id;
}

}  // namespace warmstart::format
