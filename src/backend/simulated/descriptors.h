#pragma once
// The table of file descriptors that the simulated world gives out, as a kernel has one for each
// process.
//
// A number names an open file, which is a side of an object. An object is shared by its open files
// and by the operations that were submitted on them. An open file is shared by its numbers and by
// the messages that carry it to another socket (SCM_RIGHTS in unix(7)). The object hears that its
// side was closed when the last of these is gone.
//
// Closing a descriptor removes the number at once, while the object stays for the others. So the
// world can still see that the number of an operation in flight was closed, or has a new meaning
// (`World::foresee`). The new meaning can be the same file, so numbers alone and files alone do not
// tell. Each entry therefore counts as an opening of its own.
//
// Thread-safety: none. A table belongs to one world.

#include "backend/simulated/object.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
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

/// An open file ("open file description" in POSIX): a side of an object that numbers and messages
/// share.
struct Description {
    ObjectPtr object;
    int side;
};
using DescriptionPtr = std::shared_ptr<const Description>;

/// Gives up one share of an open file. The last one closes the side of the object.
// NOLINTNEXTLINE(performance-unnecessary-value-param): the share is given up when this returns.
inline void let_go(DescriptionPtr file, Surroundings& around) noexcept {
    if (file.use_count() == 1) file->object->close(file->side, around);
}

/// The meaning of a descriptor number.
struct Descriptor {
    DescriptionPtr file;
    /// No two entries of the table ever have the same.
    std::uint64_t opening;
};

/// The table from numbers to open files.
///
/// A kernel gives a number out again as soon as it is free, and programs that hold on to a closed
/// number then use another file. The seeded world does the same, to show such mistakes. The plain
/// world uses a number once, so that a trace names each object without doubt.
class Descriptors {
public:
    explicit Descriptors(bool reuses_numbers) : reuses_numbers_(reuses_numbers) {}

    /// A number for a file that is open already.
    /// Throws: `std::bad_alloc`; the table is then as it was, except that the number is not used
    /// again.
    int open(DescriptionPtr file) {
        const int number = next_number();
        table_.emplace(number, Descriptor{std::move(file), ++openings_});
        return number;
    }

    /// Opens a side of `object`. Throws: as above.
    int open(ObjectPtr object, int side) {
        return open(std::make_shared<const Description>(std::move(object), side));
    }

    /// Removes the number, which must mean something. The caller lets go of the file.
    DescriptionPtr close(int number) noexcept {
        const auto found = table_.find(number);
        DescriptionPtr file = std::move(found->second.file);
        table_.erase(found);
        if (!reuses_numbers_) return file;
        try {
            free_.push(number);
        } catch (const std::bad_alloc&) {
            // Without memory the number is not given out again, which a program cannot notice.
        }
        return file;
    }

    /// The number keeps its file, and counts as opened anew. Returns the object of the file; null
    /// if the number means nothing.
    Object* renew(int number) noexcept {
        const auto found = table_.find(number);
        if (found == table_.end()) return nullptr;
        found->second.opening = ++openings_;
        return found->second.file->object.get();
    }

    std::size_t size() const noexcept { return table_.size(); }

    /// Null if the number means nothing.
    const Descriptor* find(int number) const noexcept {
        const auto found = table_.find(number);
        return found == table_.end() ? nullptr : &found->second;
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
    std::uint64_t openings_ = 0;
    std::unordered_map<int, Descriptor> table_;
    std::priority_queue<int, std::vector<int>, std::greater<>> free_;
};

}  // namespace asyncio::lowlevel::simulated
