#include "server/format/pickle/pickle_heap.h"

#include <utility>

namespace warmstart::format {

PickleHeap::PickleHeap() {
  Add(PickleKind::kNone, 0);
  for (int64_t value : {0, 1}) {
    cells_[Add(PickleKind::kBool, 0)].payload.integer = value;
  }
  for (int64_t value = 0; value < kSmallInts; ++value) {
    cells_[Add(PickleKind::kInt, 0)].payload.integer = value;
  }
}

PickleId PickleHeap::Add(PickleKind kind, uint32_t extra) {
  Cell cell = {kind, extra, {}};
  cells_.push_back(cell);
  return static_cast<PickleId>(cells_.size() - 1);
}

PickleId PickleHeap::AddInt(int64_t value) {
  if (value >= 0 && value < kSmallInts) {
    return kSmallIntsId + static_cast<PickleId>(value);
  }
  const PickleId id = Add(PickleKind::kInt, 0);
  cells_[id].payload.integer = value;
  return id;
}

PickleId PickleHeap::AddFloat(double value) {
  const PickleId id = Add(PickleKind::kFloat, 0);
  cells_[id].payload.real = value;
  return id;
}

PickleId PickleHeap::AddText(PickleKind kind, absl::string_view text) {
  const PickleId id = Add(kind, static_cast<uint32_t>(text.size()));
  cells_[id].payload.text = text.data();
  return id;
}

absl::string_view PickleHeap::Keep(std::string text) {
  kept_.push_back(std::move(text));
  return kept_.back();
}

PickleId PickleHeap::AddTuple(absl::Span<const PickleId> items) {
  const PickleId id =
      Add(PickleKind::kTuple, static_cast<uint32_t>(items.size()));
  cells_[id].payload.first = tuple_items_.size();
  tuple_items_.insert(tuple_items_.end(), items.begin(), items.end());
  return id;
}

PickleId PickleHeap::AddContainer(PickleKind kind) { return Add(kind, kEmpty); }

PickleId PickleHeap::AddGlobal(const PickleGlobal& global) {
  globals_.push_back(global);
  return Add(PickleKind::kGlobal, static_cast<uint32_t>(globals_.size() - 1));
}

PickleId PickleHeap::AddPersistent(PickleId what) {
  return Add(PickleKind::kPersistent, what);
}

PickleId PickleHeap::AddObject(PickleId callable, PickleId arguments) {
  PickleObject object;
  object.callable = callable;
  object.arguments = arguments;
  objects_.push_back(object);
  return Add(PickleKind::kObject, static_cast<uint32_t>(objects_.size() - 1));
}

void PickleHeap::Append(PickleId container, PickleId item) {
  Cell& cell = cells_[container];
  if (cell.extra == kEmpty) {
    cell.extra = static_cast<uint32_t>(containers_.size());
    containers_.emplace_back();
  }
  containers_[cell.extra].push_back(item);
}

PickleId PickleHeap::ListItemsOf(PickleId object) {
  PickleObject& parts = objects_[cells_[object].extra];
  if (parts.list_items == kNoPickleId) {
    parts.list_items = AddContainer(PickleKind::kList);
  }
  return parts.list_items;
}

PickleId PickleHeap::DictItemsOf(PickleId object) {
  PickleObject& parts = objects_[cells_[object].extra];
  if (parts.dict_items == kNoPickleId) {
    parts.dict_items = AddContainer(PickleKind::kDict);
  }
  return parts.dict_items;
}

void PickleHeap::SetState(PickleId object, PickleId state) {
  objects_[cells_[object].extra].state = state;
}

absl::string_view PickleHeap::Text(PickleId id) const {
  const Cell& cell = cells_[id];
  return absl::string_view(cell.payload.text, cell.extra);
}

absl::Span<const PickleId> PickleHeap::Items(PickleId id) const {
  const Cell& cell = cells_[id];
  if (cell.kind == PickleKind::kTuple) {
    return absl::MakeConstSpan(tuple_items_)
        .subspan(cell.payload.first, cell.extra);
  }
  if (cell.extra == kEmpty) return {};
  return containers_[cell.extra];
}

}  // namespace warmstart::format
