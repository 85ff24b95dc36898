#include "process/find_program.h"

#include <asyncio/exceptions.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>

#include <sys/stat.h>
#include <unistd.h>

namespace asyncio::internal {
namespace {

/// What execvp(3) searches when there is no PATH.
constexpr std::string_view default_path = "/bin:/usr/bin";

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

/// 0 if `path` can be executed, else the errno. `path` is as the child will see it, from its own
/// directory.
int why_not_executable(const std::string& path, const std::string& cwd) {
    const bool is_relative = !path.starts_with('/') && !cwd.empty();
    const std::string seen = is_relative ? cwd + '/' + path : path;
    if (::access(seen.c_str(), X_OK) != 0) return errno;
    struct stat about{};
    const bool is_file = ::stat(seen.c_str(), &about) == 0 && S_ISREG(about.st_mode);
    return is_file ? 0 : EACCES;
}

}  // namespace

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
