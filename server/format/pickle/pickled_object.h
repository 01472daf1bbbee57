// What an object in a pickle is, going by names: its class, the arguments that
// it would have been made with, and what kind of container it stands for.

#ifndef WARMSTART_SERVER_FORMAT_PICKLE_PICKLED_OBJECT_H_
#define WARMSTART_SERVER_FORMAT_PICKLE_PICKLED_OBJECT_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/format/pickle/pickle_heap.h"

namespace warmstart::format {

// Whether `id` is the class or function `module`.`name`. Python 2's names of
// the standard modules count as Python 3's.
bool IsGlobal(const PickleHeap& heap, PickleId id, absl::string_view module,
              absl::string_view name);

// "module.name" of a class or function, escaped and shortened, for people;
// "?" for other values.
std::string GlobalName(const PickleHeap& heap, PickleId id);

// The class of a kObject, a kGlobal where the pickle is sane: the callable, or
// what the usual helpers (copyreg's, numpy's) get as the class to make.
PickleId ClassOf(const PickleHeap& heap, PickleId object);

// The arguments of a kObject; none where they are no tuple.
absl::Span<const PickleId> ArgumentsOf(const PickleHeap& heap, PickleId object);

// Looks up a text key in the items of a dict; kNoPickleId where it is missing.
// The last one wins, as in Python.
PickleId FindItem(const PickleHeap& heap, absl::Span<const PickleId> items,
                  absl::string_view key);

// The attributes of a kObject, from its state: a dict, or the pair of a dict
// and the slots' dict. As a dict's items; false where the state is something
// else.
bool GetAttributes(const PickleHeap& heap, PickleId object,
                   std::vector<PickleId>* items);

// For kDict, and for objects of the standard library's dict classes or of
// subclasses that were filled by key: the items. false for other values.
bool GetDictItems(const PickleHeap& heap, PickleId id,
                  std::vector<PickleId>* items);

// For kTuple, kList, kSet and objects that are lists, tuples, sets, deques or
// torch.Size, or subclasses that items were appended to: the items.
bool GetListItems(const PickleHeap& heap, PickleId id,
                  std::vector<PickleId>* items);

// Looks through the calls which return their first argument: TorchScript's type
// tags, and its typed lists where that argument is the list.
PickleId LookThroughTags(const PickleHeap& heap, PickleId id);

}  // namespace warmstart::format

#endif  // WARMSTART_SERVER_FORMAT_PICKLE_PICKLED_OBJECT_H_
