#pragma once
// The simulated counterpart of inotify(7): a descriptor from which a program reads what happens to
// files and folders.
//
// A node of the tree has a list of its watchers (`Node::watches`). An operation that changes the
// tree calls one of the functions `tell_…` below. These put an event into the queue of each watcher
// that asked for it, and the world then tries the reads that wait there.
//
// As in Linux: an event that equals the last one in the queue is not added; the queue is bounded,
// and the event IN_Q_OVERFLOW stands for what did not fit; a node that is gone ends its watches
// with IN_IGNORED; adding a watch twice changes the first. Left out: IN_ONESHOT, and the events of
// a file that is open and has lost its name, which Linux reports to the folder all the same.
//
// Without memory for an event, the queue counts as full: the program is told that it has lost
// events, and no operation fails for the sake of a watcher.
//
// Thread-safety: none.

#include "backend/simulated/file_tree.h"
#include "backend/simulated/object.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace asyncio::lowlevel::simulated {

class Notifications final : public Object {
public:
    /// `root` is the root of the tree in which paths are looked for. Throws: `std::bad_alloc`; a
    /// queue of the standard library needs memory from the beginning.
    explicit Notifications(Folder& root) : root_(root) {}

    int foresee(const Operation& operation, int side) const noexcept override;
    int carry_out(Operation& operation, int side, int foreseen, Surroundings& around) override;
    void close(int side, Surroundings& around) noexcept override;

    /// An event for the watch `number`. Without memory it becomes the event that events were lost.
    void put(int number, std::uint32_t mask, std::uint32_t cookie, std::string_view name,
             Changes& changes) noexcept;
    /// The watched node is gone.
    void forget(int number, Changes& changes) noexcept;

private:
    /// What a program may leave unread, as in /proc/sys/fs/inotify/max_queued_events.
    static constexpr std::size_t most_events = 16384;

    struct Event {
        int number;
        std::uint32_t mask;
        std::uint32_t cookie;
        std::string name;
    };

    int events(int side) const noexcept override;
    Place place_of(const Operation& operation) const noexcept;
    int readable(std::size_t size) const noexcept;
    void take_events(char* to, std::size_t size) noexcept;
    int add_watch(Node& node, std::uint32_t mask);
    void leave(Node& node) noexcept;
    void remove_watch(int number, Changes& changes) noexcept;
    bool equals_last(int number, std::uint32_t mask, std::string_view name) const noexcept;
    static std::size_t size_of(const Event& event) noexcept;
    static char* write(const Event& event, char* to) noexcept;

    Folder& root_;
    std::deque<Event> queue_;
    /// Events were lost, and the program is told so behind the last event.
    bool overflowed_ = false;
    /// The watched nodes, by the number of the watch. Being watched does not keep a node alive.
    std::map<int, std::weak_ptr<Node>> watched_;
    int last_number_ = 0;
};

/// `event` (IN_MODIFY, …) happened to the node: tells its watchers, and those of its folder.
void tell(Node& node, std::uint32_t event, Changes& changes) noexcept;
/// `event` (IN_CREATE, …) happened to a name in the folder: tells the watchers of the folder.
void tell_of_name(Folder& folder, std::string_view name, std::uint32_t event, bool is_folder,
                  Changes& changes, std::uint32_t cookie = 0) noexcept;
/// `event` (IN_MOVE_SELF, …) happened to the node: tells its own watchers alone.
void tell_own(Node& node, std::uint32_t event, Changes& changes) noexcept;
/// No name and no open descriptor refers to the node: tells its watchers, and ends their watches.
void tell_gone(Node& node, Changes& changes) noexcept;

}  // namespace asyncio::lowlevel::simulated
