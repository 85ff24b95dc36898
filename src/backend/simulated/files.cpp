// The operations on paths: open, statx, unlink, mkdir, rename, and making a watcher.
//
// Each has two halves. `foresee_…` finds the errors, in the order in which Linux looks for them.
// The order matters where two things are wrong at once: programs react to one error and not to the
// other. The second half relies on the first, and can fail only for lack of memory; it then leaves
// the tree as it was. Both halves walk the path, because the tree may have changed in between.
//
// Watchers are told at the end of an operation, in the order in which Linux tells them: first what
// happened to the names, then what happened to the files.

#include "backend/simulated/files.h"

#include "backend/simulated/descriptors.h"
#include "backend/simulated/notifications.h"
#include "backend/simulated/open_file.h"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/inotify.h>
#include <sys/stat.h>

namespace asyncio::lowlevel::simulated {
namespace {

/// What a new file or folder may not permit to others, as with most users.
constexpr unsigned mask_of_new = 022;

/// The present of a world that has just begun, for programs that show times: the year 2000.
constexpr std::int64_t seconds_of_beginning = 946'684'800;

/// A path of an operation. It belongs to the caller, and lives until the operation is reported.
std::string_view path_of(const void* path) noexcept { return static_cast<const char*>(path); }

/// The virtual clock counts from the beginning of the world, and files have a date. So two runs
/// with the same seed see the same dates.
statx_timestamp as_timestamp(TimePoint time) noexcept {
    const Duration passed = time.time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(passed);
    statx_timestamp result{};
    result.tv_sec = seconds_of_beginning + seconds.count();
    result.tv_nsec = static_cast<std::uint32_t>((passed - seconds).count());
    return result;
}

/// Whether `inner` is `outer` or lies somewhere in it. Bounded by the depth of the tree.
bool lies_in(const Folder* inner, const Node* outer) noexcept {
    while (inner != outer && inner->folder != inner) inner = inner->folder;
    return inner == outer;
}

NodePtr shared(Node& node) { return node.shared_from_this(); }

/// What a descriptor of the node names.
ObjectPtr as_object(const NodePtr& node, int flags) {
    if (node->is_folder())
        return std::make_shared<OpenFolder>(std::static_pointer_cast<Folder>(node));
    return std::make_shared<OpenFile>(std::static_pointer_cast<File>(node), flags);
}

/// A folder refuses such an open. Truncating counts, also together with O_RDONLY.
bool wants_to_write(int flags) noexcept {
    return (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0;
}

}  // namespace

/// The root is above itself, so a walk along ".." ends there without a special case.
Files::Files(const Descriptors& descriptors, std::uint64_t disk_size_bytes, TimePoint now)
    : descriptors_(descriptors),
      disk_{disk_size_bytes},
      root_(std::make_shared<Folder>(last_number_, S_IFDIR | 0755, now)) {
    root_->folder = root_.get();
    root_->put(std::make_shared<Folder>(++last_number_, S_IFDIR | 01777, now), "tmp");
}

/// Takes the tree down from its leaves, without recursion and without memory: the way back up is in
/// the nodes. A folder is removed when it is empty, so no destructor finds another folder inside.
Files::~Files() {
    Folder* here = root_.get();
    for (;;) {
        if (here->entries.empty()) {
            if (here == root_.get()) return;
            here = here->folder;
        }
        const auto first = here->entries.begin();
        Folder* inner = first->second->as_folder();
        if (inner != nullptr && !inner->entries.empty()) {
            here = inner;
            continue;
        }
        first->second->folder = nullptr;
        here->entries.erase(first);
    }
}

// --- Paths ---------------------------------------------------------------------------------------

/// An absolute path needs no folder, so the number is not looked at.
Place Files::place_of(int fd, const void* path) const noexcept {
    const std::string_view text = path_of(path);
    if (fd == AT_FDCWD || text.starts_with('/')) return walk(*root_, *root_, text);
    Place nowhere;
    const Descriptor* start = descriptors_.find(fd);
    nowhere.error = start == nullptr ? -EBADF : -ENOTDIR;
    if (start == nullptr) return nowhere;
    auto* folder = dynamic_cast<OpenFolder*>(start->file->object.get());
    return folder == nullptr ? nowhere : walk(*root_, folder->folder(), text);
}

/// A rename has two paths, and each may start at a folder of its own.
Files::Ends Files::ends_of(const Operation& operation) const noexcept {
    return {place_of(operation.fd, operation.buffer),
            place_of(operation.second_fd, operation.second)};
}

/// Only these kinds come here (`part_of` in world.cpp). Making a watcher always succeeds.
int Files::foresee(const Operation& operation) const noexcept {
    const OperationKind kind = operation.kind;
    if (kind == OperationKind::open) return foresee_open(operation);
    if (kind == OperationKind::statx) return foresee_statx(operation);
    if (kind == OperationKind::unlink) return foresee_unlink(operation);
    if (kind == OperationKind::mkdir) return foresee_mkdir(operation);
    if (kind == OperationKind::rename) return foresee_rename(operation);
    return 0;
}

int Files::carry_out(Operation& operation, Surroundings& around) {
    const OperationKind kind = operation.kind;
    if (kind == OperationKind::open) return open(operation, around);
    if (kind == OperationKind::statx) return statx(operation);
    if (kind == OperationKind::unlink) return unlink(operation, around);
    if (kind == OperationKind::mkdir) return mkdir(operation, around);
    if (kind == OperationKind::rename) return rename(operation, around);
    return around.descriptors.open(std::make_shared<Notifications>(*root_), 0);
}

// --- Open ----------------------------------------------------------------------------------------

/// What is refused here on purpose: O_TMPFILE, which some file systems of Linux refuse, too, and
/// O_PATH, whose descriptors no caller of this library uses. O_NOFOLLOW and the like have no
/// effect, because there are no links.
int Files::foresee_open(const Operation& operation) const noexcept {
    const int flags = operation.flags;
    if ((flags & O_TMPFILE) == O_TMPFILE) return -EOPNOTSUPP;
    const bool creates = (flags & O_CREAT) != 0;
    if ((flags & O_PATH) != 0 || (creates && (flags & O_DIRECTORY) != 0)) return -EINVAL;
    const Place place = place_of(operation.fd, operation.buffer);
    if (place.error != 0) return place.error;
    if (place.node == nullptr) {
        if (!creates) return -ENOENT;
        return place.means_folder ? -EISDIR : 0;
    }
    if (creates && (flags & O_EXCL) != 0) return -EEXIST;
    if (place.node->is_folder()) return creates || wants_to_write(flags) ? -EISDIR : 0;
    if (place.means_folder || (flags & O_DIRECTORY) != 0) return -ENOTDIR;
    return place.node->as_socket() != nullptr ? -ENXIO : 0;
}

/// The descriptor is made before the rest happens: without memory the tree stays as it was, and no
/// watcher hears of a file that did not stay.
int Files::open(const Operation& operation, Surroundings& around) {
    const Place place = place_of(operation.fd, operation.buffer);
    const bool is_new = place.node == nullptr;
    const NodePtr node = is_new ? make_file(place, operation, around) : shared(*place.node);
    int number = -1;
    try {
        number = around.descriptors.open(as_object(node, operation.flags), 0);
    } catch (...) {
        if (is_new) place.folder->remove(*node);
        throw;
    }
    ++node->openings;
    if (is_new) note_name(*place.folder, place.name, IN_CREATE, false, around);
    tell(*node, IN_OPEN, around.changes);
    if (File* file = node->as_file(); file != nullptr && (operation.flags & O_TRUNC) != 0)
        truncate(*file, around);
    return number;
}

/// A new file has its name at once. `open` takes the name back if the descriptor cannot be made.
NodePtr Files::make_file(const Place& place, const Operation& operation, Surroundings& around) {
    const auto mode = static_cast<unsigned>(operation.size);
    auto file = std::make_shared<File>(++last_number_, S_IFREG | (mode & 07777 & ~mask_of_new),
                                       around.now, disk_);
    place.folder->put(file, place.name);
    return file;
}

/// A file that is empty already has not changed.
void Files::truncate(File& file, Surroundings& around) {
    if (file.bytes.empty()) return;
    file.resize(0);
    file.modified = file.changed = around.now;
    tell(file, IN_MODIFY, around.changes);
}

// --- What is known of a node ---------------------------------------------------------------------

/// The node of the descriptor itself, or the one at the path. Null with an error.
Node* Files::asked_node(const Operation& operation, int& error) const noexcept {
    const auto* text = static_cast<const char*>(operation.buffer);
    const bool of_descriptor = (operation.flags & AT_EMPTY_PATH) != 0 && *text == 0;
    if (of_descriptor && operation.fd == AT_FDCWD) return root_.get();
    if (of_descriptor) {
        const Descriptor* asked = descriptors_.find(operation.fd);
        auto* open =
            asked == nullptr ? nullptr : dynamic_cast<OpenNode*>(asked->file->object.get());
        if (open != nullptr) return &open->node();
        error = asked == nullptr ? -EBADF : -ENOSYS;
        return nullptr;
    }
    const Place place = place_of(operation.fd, text);
    error = place.error;
    if (error == 0 && place.node == nullptr) error = -ENOENT;
    if (error == 0 && place.means_folder && !place.node->is_folder()) error = -ENOTDIR;
    return error == 0 ? place.node : nullptr;
}

/// Every question about an existing node has an answer: there are no permissions to ask for.
int Files::foresee_statx(const Operation& operation) const noexcept {
    int error = 0;
    asked_node(operation, error);
    return error;
}

/// All that is known is told, whatever was asked for; statx(2) allows that. A folder counts one
/// name in its folder and one "." in itself. (Linux also counts the ".." of the folders in it.)
int Files::statx(const Operation& operation) const noexcept {
    int error = 0;
    Node& node = *asked_node(operation, error);
    struct statx answer{};
    answer.stx_mask = STATX_BASIC_STATS | STATX_BTIME;
    answer.stx_blksize = 4096;
    answer.stx_mode = static_cast<std::uint16_t>(node.mode);
    answer.stx_ino = node.number;
    answer.stx_nlink = node.is_named() ? 1 : 0;
    if (const File* file = node.as_file()) answer.stx_size = file->bytes.size();
    if (node.is_folder()) answer.stx_nlink *= 2;
    answer.stx_blocks = (answer.stx_size + 511) / 512;
    answer.stx_btime = as_timestamp(node.born);
    answer.stx_mtime = answer.stx_atime = as_timestamp(node.modified);
    answer.stx_ctime = as_timestamp(node.changed);
    *static_cast<struct statx*>(operation.second) = answer;
    return 0;
}

// --- Unix sockets --------------------------------------------------------------------------------

/// As bind(2): everything that is there already is in the way, a folder as well.
int Files::bind_socket(std::string_view path, UnixSocket& socket, std::shared_ptr<SocketNode>& node,
                       Surroundings& around) {
    const Place place = walk(*root_, *root_, path);
    if (place.error != 0) return place.error;
    if (place.node != nullptr) return -EADDRINUSE;
    if (place.means_folder) return -ENOENT;
    constexpr unsigned mode = S_IFSOCK | (0777 & ~mask_of_new);
    node = std::make_shared<SocketNode>(++last_number_, mode, around.now, socket);
    place.folder->put(node, place.name);
    note_name(*place.folder, place.name, IN_CREATE, false, around);
    return 0;
}

/// A node that is no socket, or whose socket is closed, refuses the connection.
int Files::find_socket(std::string_view path, UnixSocket*& socket) const noexcept {
    const Place place = walk(*root_, *root_, path);
    if (place.error != 0) return place.error;
    if (place.node == nullptr) return -ENOENT;
    const SocketNode* node = place.node->as_socket();
    if (place.means_folder && node != nullptr) return -ENOTDIR;
    socket = node == nullptr ? nullptr : node->socket;
    return socket == nullptr ? -ECONNREFUSED : 0;
}

// --- Names come and go ---------------------------------------------------------------------------

/// The folder has got or lost a name.
void Files::note_name(Folder& folder, std::string_view name, std::uint32_t event, bool is_folder,
                      Surroundings& around, std::uint32_t cookie) noexcept {
    folder.modified = folder.changed = around.now;
    tell_of_name(folder, name, event, is_folder, around.changes, cookie);
}

/// The node has lost its name. If it is open it lives on.
void Files::note_nameless(Node& node, Surroundings& around) noexcept {
    node.changed = around.now;
    if (node.openings == 0) tell_gone(node, around.changes);
}

/// "." and ".." and the root are no names that could be removed, and Linux has an error for each.
int Files::foresee_unlink(const Operation& operation) const noexcept {
    const bool wants_folder = (operation.flags & AT_REMOVEDIR) != 0;
    const Place place = place_of(operation.fd, operation.buffer);
    if (place.error != 0) return place.error;
    if (place.name.empty()) {
        if (!wants_folder) return -EISDIR;
        if (place.node == root_.get()) return -EBUSY;
        return place.ends_upwards ? -ENOTEMPTY : -EINVAL;
    }
    if (place.node == nullptr) return -ENOENT;
    const Folder* folder = place.node->as_folder();
    if (!wants_folder && folder != nullptr) return -EISDIR;
    if (folder == nullptr) return wants_folder || place.means_folder ? -ENOTDIR : 0;
    return folder->entries.empty() ? 0 : -ENOTEMPTY;
}

/// The number of links of a file is what its own watchers hear of first; a folder has none to lose.
int Files::unlink(const Operation& operation, Surroundings& around) noexcept {
    const Place place = place_of(operation.fd, operation.buffer);
    const NodePtr node = place.folder->remove(*place.node);
    if (!node->is_folder()) tell_own(*node, IN_ATTRIB, around.changes);
    note_name(*place.folder, place.name, IN_DELETE, node->is_folder(), around);
    note_nameless(*node, around);
    return 0;
}

/// A slash at the end is allowed here, and "." exists.
int Files::foresee_mkdir(const Operation& operation) const noexcept {
    const Place place = place_of(operation.fd, operation.buffer);
    if (place.error != 0) return place.error;
    return place.node == nullptr ? 0 : -EEXIST;
}

/// The sticky bit is the only one of the three special bits that mkdir(2) takes over.
int Files::mkdir(const Operation& operation, Surroundings& around) {
    const Place place = place_of(operation.fd, operation.buffer);
    const auto mode = static_cast<unsigned>(operation.size);
    place.folder->put(std::make_shared<Folder>(++last_number_,
                                               S_IFDIR | (mode & 01777 & ~mask_of_new), around.now),
                      place.name);
    note_name(*place.folder, place.name, IN_CREATE, true, around);
    return 0;
}

/// The order of the questions is the kernel's: what the paths are, what is there, whether a folder
/// would come into itself, whether the kinds agree.
int Files::foresee_rename(const Operation& operation) const noexcept {
    if ((operation.flags & ~RENAME_NOREPLACE) != 0) return -EINVAL;
    const auto [from, to] = ends_of(operation);
    if (from.error != 0 || to.error != 0) return from.error != 0 ? from.error : to.error;
    if (from.name.empty() || to.name.empty()) return -EBUSY;
    if (from.node == nullptr) return -ENOENT;
    if (operation.flags == RENAME_NOREPLACE && to.node != nullptr) return -EEXIST;
    const bool is_folder = from.node->is_folder();
    if (!is_folder && (from.means_folder || to.means_folder)) return -ENOTDIR;
    if (lies_in(to.folder, from.node)) return -EINVAL;
    if (to.node == nullptr || to.node == from.node) return 0;
    if (lies_in(from.folder, to.node)) return -ENOTEMPTY;
    const Folder* replaced = to.node->as_folder();
    if (replaced == nullptr) return is_folder ? -ENOTDIR : 0;
    if (!is_folder) return -EISDIR;
    return replaced->entries.empty() ? 0 : -ENOTEMPTY;
}

/// The watchers of the two folders recognise the pair by its cookie.
int Files::rename(const Operation& operation, Surroundings& around) {
    const auto [from, to] = ends_of(operation);
    if (from.node == to.node) return 0;
    const NodePtr node = shared(*from.node);
    const NodePtr replaced = to.folder->put(node, to.name);
    const bool is_folder = node->is_folder();
    const std::uint32_t cookie = ++last_cookie_;
    note_name(*from.folder, from.name, IN_MOVED_FROM, is_folder, around, cookie);
    note_name(*to.folder, to.name, IN_MOVED_TO, is_folder, around, cookie);
    node->changed = around.now;
    if (replaced != nullptr && !is_folder) tell_own(*replaced, IN_ATTRIB, around.changes);
    tell_own(*node, IN_MOVE_SELF, around.changes);
    if (replaced != nullptr) note_nameless(*replaced, around);
    return 0;
}

}  // namespace asyncio::lowlevel::simulated
