// The table of questions: what is asked again, what is kept, what goes.
//
// A lookup is in one of three states, and the lists say in which:
//   in flight   in `in_flight_`; in the table, unless the answer must not be shared any more
//   kept        in `kept_` and in the table
//   gone        in neither; the tasks that have waited for it still hold it
//
// Nothing here allocates after the lookup has begun, so an answer is never lost for want of memory.

#include "net/loop_names.h"

#include <utility>

#include <netdb.h>

namespace asyncio::internal {

LoopNames& LoopNames::of(EventLoop& loop) {
    LoopNames*& names = loop.belongings().names;
    if (names == nullptr) names = new LoopNames(loop);
    return *names;
}

LoopNames::LoopNames(EventLoop& loop) : loop_(loop) {
    AtClose::run = &loop_closes;
    loop.at_close().push_back(*this);
}

LoopNames::~LoopNames() { loop_.belongings().names = nullptr; }

/// All tasks have ended, so no lookup has a line any more. Threads that still ask are not waited
/// for: their answers are refused by the gate of the loop.
void LoopNames::loop_closes(AtClose& listener) noexcept {
    auto& self = static_cast<LoopNames&>(listener);
    self.clear();
    while (!self.in_flight_.empty()) {
        static_cast<Lookup&>(self.in_flight_.pop_front()).disown();
    }
    delete &self;
}

// --- Asking --------------------------------------------------------------------------------------

/// A lookup that cannot begin leaves nothing behind.
Ref<Lookup> LoopNames::ask(Question question) {
    if (Lookup* fresh = find_fresh(question)) return Ref<Lookup>::share(fresh);
    Ref<Lookup> lookup = Lookup::make(*this, std::move(question));
    table_.emplace(lookup->question(), lookup);
    in_flight_.push_back(*lookup);
    try {
        lookup->begin();
    } catch (...) {
        lookup->disown();
        remove(*lookup);
        throw;
    }
    return lookup;
}

/// Null if the question must be looked up. An answer whose time has passed goes.
Lookup* LoopNames::find_fresh(const Question& question) noexcept {
    const auto found = table_.find(question);
    if (found == table_.end()) return nullptr;
    Lookup& lookup = *found->second;
    if (!lookup.is_done()) return &lookup;
    if (lookup.expires <= loop_.time()) {
        remove(lookup);
        return nullptr;
    }
    lookup.leave_list();
    kept_.push_back(lookup);
    return &lookup;
}

// --- Keeping and forgetting ----------------------------------------------------------------------

/// Zero or less: the answer is not kept. An exception comes from the names of a simulated world, or
/// from a lack of memory, and is never kept.
Duration LoopNames::keeping_time(const Lookup& lookup) const noexcept {
    if (!options_.enabled || options_.max_answers == 0 || lookup.answer().failed()) return {};
    switch (lookup.answer().value().error) {
        case 0: return options_.found_for;
        case EAI_NONAME:
        case EAI_NODATA:
        case EAI_ADDRFAMILY: return options_.missing_for;
        default: return {};
    }
}

/// A lookup in flight that is not in the table any more was forgotten meanwhile. Another lookup may
/// stand in its place.
void LoopNames::answered(Lookup& lookup) noexcept {
    lookup.leave_list();
    const auto entry = table_.find(lookup.question());
    if (entry == table_.end() || entry->second.get() != &lookup) return;
    const Duration time = keeping_time(lookup);
    if (time <= Duration::zero()) {
        table_.erase(entry);
        return;
    }
    lookup.expires = add_saturating(loop_.time(), time);
    kept_.push_back(lookup);
    ++kept_count_;
    evict_beyond(options_.max_answers);
}

/// The lookup is in the table, in flight or kept. Its last reference may go.
void LoopNames::remove(Lookup& lookup) noexcept {
    lookup.leave_list();
    if (lookup.is_done()) --kept_count_;
    const auto entry = table_.find(lookup.question());
    if (entry != table_.end() && entry->second.get() == &lookup) table_.erase(entry);
}

void LoopNames::evict_beyond(std::size_t limit) noexcept {
    while (kept_count_ > limit) remove(static_cast<Lookup&>(kept_.front()));
}

void LoopNames::set_options(const NameCacheOptions& options) noexcept {
    options_ = options;
    evict_beyond(options.enabled ? options.max_answers : 0);
}

std::size_t LoopNames::size() const noexcept { return kept_count_; }

/// Lookups in flight stay in their list, and only their questions become free.
void LoopNames::clear() noexcept {
    evict_beyond(0);
    table_.clear();
}

void LoopNames::forget(std::string_view host) noexcept {
    for (auto entry = table_.begin(); entry != table_.end();) {
        Lookup& lookup = *entry->second;
        const bool is_meant = lookup.question().host == host;
        if (is_meant && lookup.is_done()) {
            lookup.leave_list();
            --kept_count_;
        }
        entry = is_meant ? table_.erase(entry) : std::next(entry);
    }
}

}  // namespace asyncio::internal
