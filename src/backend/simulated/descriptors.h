#pragma once
// The table of file descriptors that the simulated world gives out, as a kernel has one for each
// process.
//
// A number names a side of an object, and an object is shared by its descriptors and by the
// operations that were submitted on them. Closing a descriptor removes the number at once, while
// the object stays for the others. So the world can still see that the number of an operation in
// flight was closed, or has a new meaning (`World::foresee`).
//
// Thread-safety: none. A table belongs to one world.

#include "backend/simulated/object.h"

#include <functional>
#include <new>
#include <queue>
#include <unordered_map>
#include <utility>
#include <vector>

namespace asyncio::lowlevel::simulated {

/// Numbers from here on belong to the world. A kernel gives out the lowest free number and never
/// comes this far, so one comparison tells whether a descriptor belongs to the world. A number of
/// the world that gets into a real system call by mistake fails with EBADF, and no other file is
/// touched.
inline constexpr int first_number = 1 << 30;

/// The meaning of a descriptor number.
struct End {
    ObjectPtr object;
    int side;
};

/// The table from numbers to objects.
///
/// A kernel gives a number out again as soon as it is free, and programs that hold on to a closed
/// number then use another file. The seeded world does the same, to show such mistakes. The plain
/// world uses a number once, so that a trace names each object without doubt.
class Descriptors {
public:
    explicit Descriptors(bool reuses_numbers) : reuses_numbers_(reuses_numbers) {}

    /// Throws: `std::bad_alloc`; the table is then as it was, except that the number is not used
    /// again.
    int open(ObjectPtr object, int side) {
        const int number = next_number();
        ends_.emplace(number, End{std::move(object), side});
        return number;
    }

    void close(int number) noexcept {
        ends_.erase(number);
        if (!reuses_numbers_) return;
        try {
            free_.push(number);
        } catch (const std::bad_alloc&) {
            // Without memory the number is not given out again, which a program cannot notice.
        }
    }

    /// Null if the number means nothing.
    const End* find(int number) const noexcept {
        const auto found = ends_.find(number);
        return found == ends_.end() ? nullptr : &found->second;
    }

private:
    /// The lowest free number, which is the kernel's rule (POSIX), or one never used before.
    int next_number() {
        if (free_.empty()) return unused_++;
        const int lowest = free_.top();
        free_.pop();
        return lowest;
    }

    bool reuses_numbers_;
    int unused_ = first_number;
    std::unordered_map<int, End> ends_;
    std::priority_queue<int, std::vector<int>, std::greater<>> free_;
};

}  // namespace asyncio::lowlevel::simulated
