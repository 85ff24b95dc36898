// The calls on paths, each an operation with its error text, and what is made of several of them.
//
// A path is a `std::string` of the coroutine's frame, so it lives until the operation is reported.
// What has to be undone after an error is undone outside the `catch`, because a handler cannot
// await. The error is kept as an `Outcome` in the meantime.

#include <asyncio/files.h>

#include <asyncio/lowlevel/operation_awaiter.h>
#include <asyncio/outcome.h>

#include "files/file_state.h"
#include "files/kernel_records.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace asyncio::files {
namespace {

using internal::quoted;
using internal::settle;
using lowlevel::OperationKind;
using lowlevel::OperationRequest;
using lowlevel::perform;

/// A path holds no NUL: the kernel would see another path than the program.
void check(const std::string& path) {
    if (path.find('\0') != std::string::npos)
        throw std::invalid_argument("a path with a NUL in it");
}

/// Throws: RuntimeError that names `function`, outside tasks.
OperationRequest on_path(OperationKind kind, std::string& path, const char* function) {
    internal::running_task(function);
    check(path);
    return {.kind = kind, .fd = AT_FDCWD, .buffer = path.data()};
}

/// Files and folders have one call, and a flag that tells which of the two is meant. So a program
/// that expects a file never removes a folder.
Coro<> unlink_path(std::string path, bool is_folder) {
    const char* function = is_folder ? "asyncio::files::rmdir()" : "asyncio::files::remove()";
    const char* verb = is_folder ? "remove the folder " : "remove ";
    OperationRequest request = on_path(OperationKind::unlink, path, function);
    if (is_folder) request.flags = AT_REMOVEDIR;
    const int result = co_await perform(request);
    if (result < 0) throw OsError(-result, verb + quoted(path));
}

/// The close is awaited, because some file systems report a failed write only then.
Coro<> write_whole(std::string path, OpenOptions how, std::string bytes, bool syncs) {
    const File file = co_await File::open(std::move(path), how);
    co_await file.write(std::move(bytes));
    if (syncs) co_await file.sync();
    co_await file.close();
}

/// A name beside `path` that no other file has: the process and a count are in it. If the machine
/// has such a file from an earlier process with the same number, the open fails, and another count
/// is tried.
std::string beside(const std::string& path) {
    static std::atomic<unsigned> count{0};
    return path + "." + std::to_string(::getpid()) + "-" + std::to_string(++count) + ".tmp";
}

/// The new file is synchronised before it gets its name. In the other order a crash could leave the
/// name of the file with nothing behind it.
Coro<> write_and_rename(std::string from, std::string to, std::string bytes, WriteOptions options) {
    const OpenOptions how{
        .write = true, .create = true, .exclusive = true, .permissions = options.permissions};
    co_await write_whole(from, how, std::move(bytes), options.sync);
    co_await rename(std::move(from), std::move(to));
}

/// The new file is removed after an error, and nothing is said if that fails: the first error is
/// what the program has to know.
Coro<> write_atomically(std::string path, std::string bytes, WriteOptions options) {
    const std::string fresh = beside(path);
    Outcome<void> outcome =
        co_await settle(write_and_rename(fresh, std::move(path), std::move(bytes), options));
    if (outcome.failed() || outcome.cancelled())
        static_cast<void>(co_await settle(unlink_path(fresh, false)));
    outcome.value();
}

/// Where the folder above ends; 0 if the path names none.
/// Slashes at the end belong to the last part of the path.
std::size_t end_of_parent(std::string_view path) {
    while (!path.empty() && path.back() == '/') path.remove_suffix(1);
    std::size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) return 0;
    while (slash > 0 && path[slash - 1] == '/') --slash;
    return slash;
}

/// The result and not an error: a folder that exists is no surprise to most callers.
Coro<int> try_mkdir(std::string path, unsigned permissions) {
    OperationRequest request = on_path(OperationKind::mkdir, path, "asyncio::files::mkdir()");
    request.size = permissions;
    co_return co_await perform(request);
}

/// From the path upwards until a folder exists or could be made, and down again. A loop and not a
/// recursion: the depth is the user's.
Coro<int> make_with_parents(std::string path, unsigned permissions) {
    std::vector<std::string> missing;
    std::string folder = path;
    int result = co_await try_mkdir(folder, permissions);
    while (result == -ENOENT && end_of_parent(folder) > 0) {
        missing.push_back(folder);
        folder.resize(end_of_parent(folder));
        result = co_await try_mkdir(folder, 0777);
    }
    if (missing.empty() || (result < 0 && result != -EEXIST)) co_return result;
    while (!missing.empty()) {
        const bool is_last = missing.size() == 1;
        result = co_await try_mkdir(missing.back(), is_last ? permissions : 0777);
        if (result < 0 && (result != -EEXIST || is_last)) co_return result;
        missing.pop_back();
    }
    co_return result;
}

/// What may be missing: the folder, or the right to look into it.
bool means_absence(int error) noexcept {
    return error == ENOENT || error == ENOTDIR || error == EACCES || error == ENAMETOOLONG ||
           error == ELOOP;
}

/// The result and not an error: that a path leads to nothing is an answer for `exists`.
Coro<int> try_stat(std::string path, struct statx* about, const char* function) {
    OperationRequest request = on_path(OperationKind::statx, path, function);
    request.size = STATX_BASIC_STATS;
    request.second = about;
    co_return co_await perform(request);
}

}  // namespace

Coro<std::string> read_bytes(std::string path) {
    const File file = co_await File::open(std::move(path));
    std::string bytes = co_await file.read();
    co_await file.close();
    co_return bytes;
}

Coro<std::string> read_text(std::string path) { return read_bytes(std::move(path)); }

Coro<> write_bytes(std::string path, std::string bytes, WriteOptions options) {
    if (options.atomic) return write_atomically(std::move(path), std::move(bytes), options);
    const OpenOptions how{
        .write = true, .create = true, .truncate = true, .permissions = options.permissions};
    return write_whole(std::move(path), how, std::move(bytes), options.sync);
}

Coro<> write_text(std::string path, std::string text, WriteOptions options) {
    return write_bytes(std::move(path), std::move(text), options);
}

Coro<> remove(std::string path) { return unlink_path(std::move(path), false); }

Coro<> rmdir(std::string path) { return unlink_path(std::move(path), true); }

Coro<> rename(std::string from, std::string to) {
    check(to);
    OperationRequest request = on_path(OperationKind::rename, from, "asyncio::files::rename()");
    request.second_fd = AT_FDCWD;
    request.second = to.data();
    const int result = co_await perform(request);
    if (result < 0) throw OsError(-result, "rename " + quoted(from) + " to " + quoted(to));
}

/// A file of this name is an error also with `exist_ok`, as in Python.
Coro<> mkdir(std::string path, MkdirOptions options) {
    const int result = options.parents ? co_await make_with_parents(path, options.permissions)
                                       : co_await try_mkdir(path, options.permissions);
    if (result == -EEXIST && options.exist_ok) {
        struct statx about{};
        if (co_await try_stat(path, &about, "asyncio::files::mkdir()") == 0 &&
            S_ISDIR(about.stx_mode))
            co_return;
    }
    if (result < 0) throw OsError(-result, "make the folder " + quoted(path));
}

/// The whole folder at once and not entry by entry: 32 KiB hold some thousand names, and a program
/// that waits between two entries would see a folder that changes under it.
Coro<std::vector<DirEntry>> scandir(std::string path) {
    constexpr auto function = "asyncio::files::scandir()";
    lowlevel::Loop& loop = internal::running_task(function).loop();
    OperationRequest request = on_path(OperationKind::open, path, function);
    request.flags = O_RDONLY | O_DIRECTORY;
    const int made = co_await perform(request);
    if (made < 0) throw OsError(-made, "list " + quoted(path));
    const lowlevel::LoopFd folder(loop, lowlevel::Fd(made));
    std::vector<DirEntry> entries;
    constexpr std::size_t size_bytes = 32 * 1024;
    const auto records = std::make_unique<char[]>(size_bytes);
    for (;;) {
        const int count = co_await perform({.kind = OperationKind::getdents,
                                            .fd = folder.get(),
                                            .buffer = records.get(),
                                            .size = size_bytes});
        if (count < 0) throw OsError(-count, "list " + quoted(path));
        if (count == 0) co_return entries;
        internal::take_dir_entries({records.get(), static_cast<std::size_t>(count)}, entries);
    }
}

Coro<std::vector<std::string>> listdir(std::string path) {
    std::vector<DirEntry> entries = co_await scandir(std::move(path));
    std::vector<std::string> names;
    names.reserve(entries.size());
    for (DirEntry& entry : entries) names.push_back(std::move(entry.name));
    co_return names;
}

Coro<FileStat> stat(std::string path) {
    struct statx about{};
    const int result = co_await try_stat(path, &about, "asyncio::files::stat()");
    if (result < 0) throw OsError(-result, "stat " + quoted(path));
    co_return internal::as_file_stat(about);
}

/// An error other than the absence is thrown: a path that cannot be looked at may exist, and a
/// program that is told "no" would make the file a second time.
Coro<bool> exists(std::string path) {
    struct statx about{};
    const int result = co_await try_stat(path, &about, "asyncio::files::exists()");
    if (result < 0 && !means_absence(-result)) throw OsError(-result, "stat " + quoted(path));
    co_return result == 0;
}

}  // namespace asyncio::files
