#pragma once
// What a descriptor of a file or folder of the simulated world names: the node, the position, and
// the way in which it was opened.
//
// A file behaves as a file of Linux does: it is always ready, a read at the end gives 0, a write
// behind the end leaves zeros between. The plan shortens reads and writes. A kernel does so rarely,
// at the end of the disk's space or when only a part is in memory, but it may. A write that finds
// no room moves what fits, or fails with ENOSPC.
//
// Synchronising has nothing to do here, since the world's disk loses nothing. Its result comes, as
// that of every operation, at the time that the plan appoints.
//
// Thread-safety: none.

#include "backend/simulated/file_tree.h"
#include "backend/simulated/object.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace asyncio::lowlevel::simulated {

/// What open files and open folders have in common: an open node, which lives on without a name.
class OpenNode : public Object {
public:
    /// The caller counts it in `Node::openings`, when its descriptor is made.
    explicit OpenNode(NodePtr node) noexcept : node_(std::move(node)) {}

    void close(int side, Surroundings& around) noexcept override;

    Node& node() const noexcept { return *node_; }

protected:
    /// `foresee` for the kinds that files and folders answer alike.
    int foresee_common(const Operation& operation, int side) const noexcept;
    /// A file is always ready for both directions.
    int events(int side) const noexcept override;

private:
    NodePtr node_;
};

class OpenFile final : public OpenNode {
public:
    /// `flags` are those of open(2).
    OpenFile(const std::shared_ptr<File>& file, int flags) noexcept
        : OpenNode(file), file_(*file), flags_(flags) {}

    int foresee(const Operation& operation, int side) const noexcept override;
    int carry_out(Operation& operation, int side, int foreseen, Surroundings& around) override;
    void close(int side, Surroundings& around) noexcept override;

    bool may_read() const noexcept;
    /// The bytes at `offset`, at most `most`. A negative offset means the position. Valid until the
    /// file changes.
    std::string_view bytes_at(std::int64_t offset, std::size_t most) const noexcept;
    /// Bytes at the position were given away.
    void move_position(std::int64_t by) noexcept { position_ += by; }

private:
    std::size_t available(std::int64_t offset, std::size_t most) const noexcept;
    bool may_write() const noexcept;
    int readable(const Operation& operation, std::int64_t offset) const noexcept;
    int writable(const Operation& operation, std::int64_t offset) const noexcept;
    int resizable(std::int64_t size) const noexcept;
    std::int64_t place_of_write(std::int64_t offset) const noexcept;
    int read(Operation& operation, std::int64_t offset, std::size_t most, Surroundings& around);
    int write(const Operation& operation, std::int64_t offset, std::size_t most,
              Surroundings& around);
    void note_change(Surroundings& around) noexcept;

    File& file_;
    int flags_;
    std::int64_t position_ = 0;
};

class OpenFolder final : public OpenNode {
public:
    explicit OpenFolder(const std::shared_ptr<Folder>& folder) noexcept
        : OpenNode(folder), folder_(*folder) {}

    int foresee(const Operation& operation, int side) const noexcept override;
    int carry_out(Operation& operation, int side, int foreseen, Surroundings& around) override;

    Folder& folder() const noexcept { return folder_; }

private:
    /// Up to where the folder was listed. The names come in their order, and the last one that was
    /// given is remembered, so a name that is made or removed meanwhile confuses nothing.
    struct Cursor {
        /// How many of "." and ".." were given.
        int dots = 0;
        std::string_view last;
    };
    struct Entry {
        std::string_view name;
        const Node* node = nullptr;
    };

    Entry next_of(const Cursor& cursor) const noexcept;
    std::size_t list(char* to, std::size_t size, Cursor& cursor) const noexcept;

    Folder& folder_;
    Cursor cursor_;
    /// What `cursor_.last` refers to.
    std::string last_;
};

}  // namespace asyncio::lowlevel::simulated
