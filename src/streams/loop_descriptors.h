#pragma once
// What a loop knows of descriptors by their numbers: the callbacks of `add_reader` and
// `add_writer`, and which numbers belong to objects of the library.
//
// A callback on the descriptor of a stream would read the bytes for which the stream waits. So
// `add_reader` refuses such a number, as in Python. Each stream, listener and datagram endpoint
// claims the number of its descriptor as long as it has it. The kernel cannot say that, and a list
// of all streams would have to be searched. A claim is a bit: streams come and go more often than
// callbacks are added. A plain `Socket` makes no claim, since it does nothing by itself.
//
// A number may get another meaning while a callback waits on it: the program has closed the
// descriptor, and forgotten the callback. Events of the new file must not come to the old callback.
//  - An object of the library that gets the number, by a claim or as a new socket, knows that the
//    number was free, and drops the callbacks that wait on it.
//  - A close by the library ends the polls on the descriptor (rule 9 in backend.h), and the
//    callbacks with them.
//  - For any other file, the device and the inode of the descriptor are compared before each call.
//    That costs one system call. Descriptors without an inode of their own (an eventfd, an epoll
//    instance) cannot be told apart.
//
// Thread-safety: loop thread only.

#include <asyncio/event_loop.h>
#include <asyncio/internal/base/unique_function.h>

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace asyncio::internal {

class DescriptorWatch;

/// Made when a loop needs it first, and destroyed when the loop closes.
class LoopDescriptors final : AtClose {
public:
    enum class Direction : std::uint8_t { reading, writing };

    /// Throws: `std::bad_alloc`.
    static LoopDescriptors& of(EventLoop& loop);

    /// Throws: RuntimeError if the number is claimed; OsError if the descriptor cannot be watched.
    void add(int fd, Direction direction, UniqueFunction<void()> callback);
    /// Returns whether there was a callback.
    bool remove(int fd, Direction direction) noexcept;
    /// The number means another file from now on.
    void forget(int fd) noexcept;

    /// Without memory the claim is not noted, and is not missed unless a program makes a mistake.
    void claim(int fd) noexcept;
    void disclaim(int fd) noexcept;

private:
    static constexpr int page_size = 4096;

    explicit LoopDescriptors(EventLoop& loop) noexcept;
    ~LoopDescriptors();

    bool is_claimed(int fd) const noexcept;
    void forget_if_stale(int fd) noexcept;
    static void loop_closes(AtClose& listener) noexcept;

    EventLoop& loop_;
    /// The watches of a descriptor, by their directions; null for none.
    std::unordered_map<int, std::array<DescriptorWatch*, 2>> watches_;
    /// By number / `page_size`. The numbers of a simulated world begin at 2³⁰.
    std::unordered_map<int, std::bitset<page_size>> claims_;
};

/// Notes that `fd` belongs to an object of the library.
void claim_descriptor(EventLoop& loop, int fd) noexcept;
void disclaim_descriptor(EventLoop& loop, int fd) noexcept;
/// Drops callbacks that wait on a number which has just become another descriptor.
inline void forget_descriptor(EventLoop& loop, int fd) noexcept {
    if (LoopDescriptors* const descriptors = loop.belongings().descriptors) descriptors->forget(fd);
}

}  // namespace asyncio::internal
