#pragma once
// The names that a loop knows: the questions in flight, and the answers that it keeps.
//
// A table leads from each question to its lookup, in flight or answered. A question that stands
// there already needs no second lookup, and this is all that sharing and caching take. Answers
// stand in a list, besides, the one that was used longest ago first, which goes when there are too
// many.
//
// Why each loop has its own. The clock that the limits run on is the loop's, virtual in a
// simulation, and a simulated world has names of its own. A cache of the process would need a lock,
// would carry answers from one test into the next, and would save one lookup per name and thread.
//
// What is kept. An answer with addresses, and the answer that there are none. A failure that may
// pass (a server that is silent, no memory) is never kept: the next question asks again.
//
// Made with the loop's first lookup, destroyed when the loop closes.
//
// Thread-safety: loop thread only.

#include <asyncio/names.h>

#include "net/lookup.h"

#include <cstddef>
#include <map>
#include <string_view>

namespace asyncio::internal {

class LoopNames final : AtClose {
public:
    static LoopNames& of(EventLoop& loop);

    EventLoop& loop() const noexcept { return loop_; }

    /// The lookup that has, or will have, the answer. Throws: as `Lookup::begin`.
    Ref<Lookup> ask(Question question);

    /// An answer has come: keeps it or forgets it.
    void answered(Lookup& lookup) noexcept;
    /// Takes the lookup out of the table and out of every list.
    void remove(Lookup& lookup) noexcept;

    const NameCacheOptions& options() const noexcept { return options_; }
    void set_options(const NameCacheOptions& options) noexcept;
    void clear() noexcept;
    void forget(std::string_view host) noexcept;
    std::size_t size() const noexcept;

private:
    explicit LoopNames(EventLoop& loop);
    ~LoopNames();

    static void loop_closes(AtClose& listener) noexcept;

    Duration keeping_time(const Lookup& lookup) const noexcept;
    Lookup* find_fresh(const Question& question) noexcept;
    void evict_beyond(std::size_t limit) noexcept;

    EventLoop& loop_;
    NameCacheOptions options_;
    std::map<Question, Ref<Lookup>> table_;
    /// The lookups in flight, also those that are not in the table any more.
    IntrusiveList<LookupLink> in_flight_;
    /// The answers that are kept, the least recently used first. All of them are in the table.
    IntrusiveList<LookupLink> kept_;
    std::size_t kept_count_ = 0;
};

}  // namespace asyncio::internal
