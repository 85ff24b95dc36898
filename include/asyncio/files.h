#pragma once
// Whole files, names and folders: what a program does with a path.
//
//   std::string text = co_await files::read_text("config.toml");
//   co_await files::write_text("state.json", text, {.atomic = true});
//   for (const DirEntry& entry : co_await files::scandir("logs")) …
//
// The functions stand in a namespace of their own, because their names are those of the C library:
// with `using namespace asyncio`, a plain `rename("a", "b")` would otherwise be the C function,
// which blocks.
//
// Each function is made of operations of the back-end, and so never holds up the loop. Under
// simulation the paths lead into the file system of the simulated world.
//
// Errors are `OsError`s that name the call and the path.
//
// Cancellation, for all of them: a cancellation point where the disk has to be waited for. A change
// that has happened in spite of the request is reported as done.
//
// Thread-safety: loop thread only.

#include <asyncio/coro.h>
#include <asyncio/file.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio {

/// An entry of a folder. Python: `os.DirEntry`.
struct DirEntry {
    /// What the folder says about an entry. A few file systems say nothing.
    enum class Type : std::uint8_t { unknown, file, dir, symlink, other };

    std::string name;
    Type type = Type::unknown;

    bool is_file() const noexcept { return type == Type::file; }
    bool is_dir() const noexcept { return type == Type::dir; }
};

namespace files {

/// How a whole file is written.
struct WriteOptions {
    /// Writes a new file beside the old one, and gives it the name when it is complete. So other
    /// programs see the old file or the new one, and never a part.
    bool atomic = false;
    /// Waits until the disk has the file. With `atomic`, before it gets its name.
    bool sync = false;
    /// The permission bits of a new file, less the umask of the process.
    unsigned permissions = 0666;
};

/// How a folder is made.
struct MkdirOptions {
    /// Makes the folders above it, too.
    bool parents = false;
    /// It is no error if the folder exists.
    bool exist_ok = false;
    /// The permission bits, less the umask of the process.
    unsigned permissions = 0777;
};

/// The whole file. Python: `pathlib.Path.read_bytes`.
Coro<std::string> read_bytes(std::string path);
/// The same. No encoding is applied. Python: `pathlib.Path.read_text`.
Coro<std::string> read_text(std::string path);
/// Replaces what the file holds, or makes the file.
///
/// Cancellation, and every error: without `atomic`, the file may hold a prefix of `bytes`. With it,
/// the file is the old one, and the new one is removed.
/// Python: `pathlib.Path.write_bytes`, which knows neither option.
Coro<> write_bytes(std::string path, std::string bytes, WriteOptions options = {});
/// The same. Python: `pathlib.Path.write_text`.
Coro<> write_text(std::string path, std::string text, WriteOptions options = {});

/// Removes a file. Python: `os.remove`.
Coro<> remove(std::string path);
/// Removes an empty folder. Python: `os.rmdir`.
Coro<> rmdir(std::string path);
/// Gives a file or folder another name, and replaces what has that name. Python: `os.replace`.
Coro<> rename(std::string from, std::string to);
/// Makes a folder. Python: `os.mkdir`; with `parents`, `os.makedirs`.
Coro<> mkdir(std::string path, MkdirOptions options = {});

/// The names in a folder, in no order, without "." and "..". Python: `os.listdir`.
Coro<std::vector<std::string>> listdir(std::string path = ".");
/// The entries of a folder. Python: `os.scandir`.
Coro<std::vector<DirEntry>> scandir(std::string path = ".");
/// What the system knows of a file. Follows symbolic links. Python: `os.stat`.
Coro<FileStat> stat(std::string path);
/// Whether the path leads to something. False also if a part of the path may not be searched.
/// Python: `os.path.exists`.
Coro<bool> exists(std::string path);

}  // namespace files
}  // namespace asyncio
