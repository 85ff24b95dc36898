#pragma once
// The files and folders of the simulated world, and the way from a path to them.
//
// A node lives as long as a name or an open descriptor refers to it, as in Linux. A folder owns its
// nodes by their names. A node knows its folder and its name, because the watchers of a folder are
// told what happens to the files in it. A node without a name has no folder.
//
// A Unix socket that is bound to a path has a node, too. The node stays when the socket is closed,
// until its name is removed.
//
// Left out: links of both kinds, owners and permissions, and times of access.
//
// Thread-safety: none. A tree belongs to one world.

#include <asyncio/internal/base/time.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asyncio::lowlevel::simulated {

class Notifications;
class UnixSocket;
struct File;
struct Folder;
struct SocketNode;

/// An entry in the list of a node: who wants to know of which events (notifications.h).
struct Watch {
    Notifications* notifications;
    int number;
    std::uint32_t mask;
};

/// How much the files hold together, and how much they may. A disk that a test has made smaller may
/// hold more than it has room for; then nothing fits.
struct Disk {
    std::uint64_t size_bytes;
    std::uint64_t used_bytes = 0;

    std::uint64_t free_bytes() const noexcept {
        return size_bytes > used_bytes ? size_bytes - used_bytes : 0;
    }
};

struct Node : std::enable_shared_from_this<Node> {
    Node(std::uint64_t number_of_node, unsigned mode_of_node, TimePoint now) noexcept
        : number(number_of_node), mode(mode_of_node), modified(now), changed(now), born(now) {}
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;
    virtual ~Node() = default;

    /// Null for a node of another kind.
    virtual File* as_file() noexcept { return nullptr; }
    virtual Folder* as_folder() noexcept { return nullptr; }
    virtual SocketNode* as_socket() noexcept { return nullptr; }
    const Folder* as_folder() const noexcept { return const_cast<Node*>(this)->as_folder(); }

    bool is_folder() const noexcept { return as_folder() != nullptr; }
    /// Whether a path leads to the node. The root has no name and is its own folder.
    bool is_named() const noexcept { return folder != nullptr; }

    const std::uint64_t number;
    /// The type and the permission bits, as in `st_mode`. The permissions are kept and not checked.
    unsigned mode;
    TimePoint modified;  ///< The bytes, or the names in the folder.
    TimePoint changed;   ///< As `modified`, or what is known of the node.
    const TimePoint born;

    Folder* folder = nullptr;
    std::string name;

    /// How many descriptors name it.
    int openings = 0;
    /// Who watches it, in the order in which they came.
    std::vector<Watch> watches;
};

using NodePtr = std::shared_ptr<Node>;

struct File final : Node {
    File(std::uint64_t number_of_node, unsigned mode_of_node, TimePoint now, Disk& of) noexcept
        : Node(number_of_node, mode_of_node, now), disk(of) {}
    ~File() override { disk.used_bytes -= bytes.size(); }

    File* as_file() noexcept override { return this; }

    /// Changes the length. The disk must have room. Throws: `std::bad_alloc`.
    void resize(std::size_t size) {
        const std::size_t before = bytes.size();
        bytes.resize(size);
        disk.used_bytes += size;
        disk.used_bytes -= before;
    }

    Disk& disk;
    std::string bytes;
};

struct Folder final : Node {
    using Node::Node;

    Folder* as_folder() noexcept override { return this; }

    /// Null if the folder has no such name.
    Node* find(std::string_view wanted) const noexcept {
        const auto found = entries.find(wanted);
        return found == entries.end() ? nullptr : found->second.get();
    }

    /// Gives `node` a name in this folder, instead of the name that it has. Returns the node that
    /// had the name before, and has none now. Throws: `std::bad_alloc`; nothing has happened then.
    NodePtr put(const NodePtr& node, std::string_view as_name) {
        std::string copy(as_name);
        NodePtr& entry = entries[std::string(as_name)];
        NodePtr replaced = std::move(entry);
        if (replaced != nullptr) replaced->folder = nullptr;
        if (node->is_named()) node->folder->entries.erase(node->name);
        entry = node;
        node->folder = this;
        node->name.swap(copy);
        return replaced;
    }

    /// Takes its name in this folder from `node`, which may be open and live on.
    NodePtr remove(Node& node) noexcept {
        NodePtr removed = node.shared_from_this();
        entries.erase(node.name);
        node.folder = nullptr;
        return removed;
    }

    /// In the order of the names, so that two runs list a folder alike.
    std::map<std::string, NodePtr, std::less<>> entries;
};

struct SocketNode final : Node {
    SocketNode(std::uint64_t number_of_node, unsigned mode_of_node, TimePoint now,
               UnixSocket& bound) noexcept
        : Node(number_of_node, mode_of_node, now), socket(&bound) {}

    SocketNode* as_socket() noexcept override { return this; }

    /// Null when the socket is closed.
    UnixSocket* socket;
};

/// Where a path leads.
struct Place {
    /// 0, or −errno: a part of the path before the last is missing or is no folder, or a name is
    /// too long. The other members have no meaning then.
    int error = 0;
    /// The folder in which the last part of the path is a name.
    Folder* folder = nullptr;
    /// The last part, without slashes. Empty if it is no name but ".", ".." or the root. Refers to
    /// the path.
    std::string_view name;
    /// What is there; null if nothing is.
    Node* node = nullptr;
    /// The path ends with a slash, or with "." or "..": it means a folder.
    bool means_folder = false;
    /// The last part is "..".
    bool ends_upwards = false;
};

/// Walks from `start`, or from `root` if the path begins with a slash. Allocates nothing.
Place walk(Folder& root, Folder& start, std::string_view path) noexcept;

}  // namespace asyncio::lowlevel::simulated
