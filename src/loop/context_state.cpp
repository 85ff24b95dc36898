// Values of context variables: finding one, and setting one by copying the list.
//
// A list is never changed after it was made, so tasks can share it by reference. Setting a variable
// costs a copy of the list, which is right for values that are set rarely and inherited by every
// task.

#include <asyncio/internal/loop/context_state.h>

#include <algorithm>

namespace asyncio::internal {

/// The context of a thread for code outside every loop. It is not a member of `here`, because
/// `here` must have neither constructor nor destructor. Code outside every loop need not be fast.
ContextRef& thread_context() noexcept {
    thread_local ContextRef context;
    return context;
}

/// A linear search: a program has a handful of variables, and a list of a handful is faster than
/// any table.
std::shared_ptr<const void> ContextState::find(std::uint64_t id) const noexcept {
    if (entries_ == nullptr) return nullptr;
    const auto entry = std::ranges::find(*entries_, id, &ContextEntry::id);
    return entry != entries_->end() ? entry->value : nullptr;
}

/// A new list with one entry replaced. Contexts that share the old list keep it.
void ContextState::assign(std::uint64_t id, std::shared_ptr<const void> value) {
    auto entries = entries_ != nullptr ? std::make_shared<ContextEntries>(*entries_)
                                       : std::make_shared<ContextEntries>();
    std::erase_if(*entries, [id](const ContextEntry& entry) { return entry.id == id; });
    if (value != nullptr) entries->push_back({id, std::move(value)});
    entries_ = std::move(entries);
}

}  // namespace asyncio::internal
