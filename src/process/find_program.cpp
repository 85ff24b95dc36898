// The search of PATH, done by the library and not by posix_spawnp(3).
//
// Two rules of Python (and of execvpe) make the difference. The PATH of the *child's* environment
// counts, if it has one; posix_spawnp looks at this process's. And a relative directory in PATH
// means a directory as the child sees it, from its own working directory. The search also gives a
// better error: the name that was searched, instead of the last candidate.
//
// The search only chooses a candidate. A file that is replaced between the search and exec is no
// problem, because exec decides for itself and reports its own error. access(2) checks the rights
// of the real user, and exec those of the effective user. The two differ in set-user-id programs
// only, and exec decides there as well.

#include "process/find_program.h"

#include <asyncio/exceptions.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>

#include <sys/stat.h>
#include <unistd.h>

namespace asyncio::internal {
namespace {

/// The directories that execvp(3) searches when there is no PATH.
constexpr std::string_view default_path = "/bin:/usr/bin";

/// Of several PATHs in the child's environment the first one counts, as for getenv(3).
std::string_view search_path(const SpawnRequest& request) {
    constexpr std::string_view name = "PATH=";
    if (request.env) {
        for (const std::string& variable : *request.env) {
            if (variable.starts_with(name)) return std::string_view(variable).substr(name.size());
        }
    }
    const char* ours = std::getenv("PATH");
    return ours != nullptr ? std::string_view(ours) : default_path;
}

/// 0 if `path` can be executed, else the errno. `path` is taken as the child will see it, from its
/// own directory. A folder may have the permission to "execute" it, which for a folder means to
/// enter it, so only regular files count.
int why_not_executable(const std::string& path, const std::string& cwd) {
    const bool is_relative = !path.starts_with('/') && !cwd.empty();
    const std::string seen = is_relative ? cwd + '/' + path : path;
    if (::access(seen.c_str(), X_OK) != 0) return errno;
    struct stat about{};
    const bool is_file = ::stat(seen.c_str(), &about) == 0 && S_ISREG(about.st_mode);
    return is_file ? 0 : EACCES;
}

}  // namespace

/// A file that is found but not executable does not end the search, as in a shell: a later
/// directory may have a better one. If none has, EACCES says more than ENOENT. The loop is bounded
/// by the entries of PATH.
std::string find_program(const SpawnRequest& request) {
    const std::string& name = request.arguments.front();
    if (name.empty() || name.find('/') != std::string::npos) return name;
    int error = ENOENT;
    std::string_view directories = search_path(request);
    for (;;) {
        const std::size_t end = directories.find(':');
        const std::string_view directory = directories.substr(0, end);
        // An empty entry is the current directory.
        std::string candidate = (directory.empty() ? "." : std::string(directory)) + '/' + name;
        const int reason = why_not_executable(candidate, request.cwd);
        if (reason == 0) return candidate;
        if (reason == EACCES) error = EACCES;
        if (end == std::string_view::npos) throw OsError(error, "spawn " + name);
        directories.remove_prefix(end + 1);
    }
}

}  // namespace asyncio::internal
