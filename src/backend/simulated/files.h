#pragma once
// The file system of a host of the simulated world: a tree of files and folders in memory, and the
// operations that name a path.
//
// Every host begins with the same tree: the root and the folder /tmp, which is empty. The root is
// the working folder. So a program that uses files is deterministic under simulation, and two tests
// cannot meet in a folder. The real file system is reached only through real descriptors.
//
// The results are those of Linux, as far as a tree without links, owners and permissions can have
// them. The permission bits of new files are kept with the mask 022 and are not checked.
//
// As every object of the world, the file system tells first what an operation would do (`foresee`),
// and does it when its time has come. Between the two, other operations may change the tree; the
// world asks again.
//
// Thread-safety: none. A file system belongs to one host.

#include "backend/simulated/file_tree.h"
#include "backend/simulated/object.h"

#include <cstdint>
#include <memory>
#include <string_view>

namespace asyncio::lowlevel::simulated {

class Files {
public:
    /// `descriptors` is the table in which folders are looked up, from which a path starts.
    Files(const Descriptors& descriptors, std::uint64_t disk_size_bytes, TimePoint now);
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;
    ~Files();

    /// As `Object::foresee`, for the kinds that name a path, and for `inotify_init`.
    int foresee(const Operation& operation) const noexcept;
    /// As `Object::carry_out`.
    int carry_out(Operation& operation, Surroundings& around);

    /// Makes a node for a Unix socket. 0, or −errno. Throws: `std::bad_alloc`; nothing has happened
    /// then.
    int bind_socket(std::string_view path, UnixSocket& socket, std::shared_ptr<SocketNode>& node,
                    Surroundings& around);
    /// The files that are there stay, also if they need more.
    void set_disk_size(std::uint64_t size_bytes) noexcept { disk_.size_bytes = size_bytes; }

    /// The socket that is bound to a path. 0, or −errno.
    int find_socket(std::string_view path, UnixSocket*& socket) const noexcept;

private:
    /// The two ends of a rename.
    struct Ends {
        Place from;
        Place to;
    };

    Place place_of(int fd, const void* path) const noexcept;
    Ends ends_of(const Operation& operation) const noexcept;
    Node* asked_node(const Operation& operation, int& error) const noexcept;

    int foresee_open(const Operation& operation) const noexcept;
    int foresee_statx(const Operation& operation) const noexcept;
    int foresee_unlink(const Operation& operation) const noexcept;
    int foresee_mkdir(const Operation& operation) const noexcept;
    int foresee_rename(const Operation& operation) const noexcept;

    int open(const Operation& operation, Surroundings& around);
    NodePtr make_file(const Place& place, const Operation& operation, Surroundings& around);
    static void truncate(File& file, Surroundings& around);
    int statx(const Operation& operation) const noexcept;
    int unlink(const Operation& operation, Surroundings& around) noexcept;
    int mkdir(const Operation& operation, Surroundings& around);
    int rename(const Operation& operation, Surroundings& around);

    static void note_name(Folder& folder, std::string_view name, std::uint32_t event,
                          bool is_folder, Surroundings& around, std::uint32_t cookie = 0) noexcept;
    static void note_nameless(Node& node, Surroundings& around) noexcept;

    const Descriptors& descriptors_;
    Disk disk_;
    std::uint64_t last_number_ = 1;
    std::uint32_t last_cookie_ = 0;
    /// The root is its own folder, and has no name.
    std::shared_ptr<Folder> root_;
};

}  // namespace asyncio::lowlevel::simulated
