// The list need not be long. A back-end receives 64 KiB in one wait (`Scratch`), so a few messages
// are between the readers and the writers at a time.
//
// Strings that are much larger than what is wanted are not taken: the program would hold large
// memory for few bytes.

#include "streams/spare_strings.h"

#include <array>

namespace asyncio::internal {
namespace {

/// What is smaller comes from malloc's list of the last blocks (tcache), which is as good.
constexpr std::size_t least_bytes = 512;
constexpr std::size_t most_bytes = 128 * 1024;

struct Spares {
    Spares() noexcept;
    Spares(const Spares&) = delete;
    Spares& operator=(const Spares&) = delete;
    ~Spares();

    std::array<std::string, 16> strings;
    std::size_t count = 0;
};

/// Null before the first use and after the end of the thread. A stream may be destroyed later than
/// that, by the destructor of a static object.
constinit thread_local Spares* spares_of_thread = nullptr;
constinit thread_local bool thread_has_ended = false;

Spares::Spares() noexcept { spares_of_thread = this; }

Spares::~Spares() {
    spares_of_thread = nullptr;
    thread_has_ended = true;
}

Spares* spares() noexcept {
    if (spares_of_thread == nullptr && !thread_has_ended) {
        static thread_local Spares own;
        spares_of_thread = &own;
    }
    return spares_of_thread;
}

void free_memory(std::string& string) noexcept { std::string().swap(string); }

}  // namespace

void keep_spare(std::string& used) noexcept {
    const bool is_wanted = used.capacity() >= least_bytes && used.capacity() <= most_bytes;
    Spares* const kept = is_wanted ? spares() : nullptr;
    if (kept == nullptr || kept->count == kept->strings.size()) return free_memory(used);
    used.clear();
    kept->strings[kept->count++].swap(used);
}

void drop_spares() noexcept {
    if (spares_of_thread == nullptr) return;
    while (spares_of_thread->count > 0)
        free_memory(spares_of_thread->strings[--spares_of_thread->count]);
}

/// The last one fits in most cases: the messages of a program are of one size.
void take_spare(std::string& empty, std::size_t size_bytes) noexcept {
    Spares* const kept = size_bytes >= least_bytes ? spares_of_thread : nullptr;
    if (kept == nullptr) return;
    for (std::size_t place = kept->count; place > 0; --place) {
        std::string& spare = kept->strings[place - 1];
        if (spare.capacity() < size_bytes || spare.capacity() >= 2 * size_bytes) continue;
        empty.swap(spare);
        spare.swap(kept->strings[--kept->count]);
        return;
    }
}

}  // namespace asyncio::internal
