// How the members of a group are found in /proc.
//
// The files of /proc are made in memory, so a read waits for no disk. A process that forks during a
// search may escape it. The caller then takes the group for dead, although the group has a new
// process. So the caller must signal the group in every case.

#include "process/group_members.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include <unistd.h>

namespace asyncio::internal {
namespace {

namespace fs = std::filesystem;

/// Whether /proc shows the processes under the numbers that this process uses. It may belong to
/// another namespace, or may be missing.
bool proc_is_ours() {
    std::error_code missing;
    const fs::path self = fs::read_symlink("/proc/self", missing);
    return !missing && self == std::to_string(::getpid());
}

/// Whether the process lives and is in `group`. A line of `stat` is "7 (name) S 1 7 …": the state,
/// the parent, the group. The name may hold any characters, so the search begins behind its last
/// parenthesis.
bool lives_in(pid_t group, const std::string& process) {
    std::ifstream file("/proc/" + process + "/stat");
    std::string line;
    std::getline(file, line, '\0');
    const std::size_t name_end = line.rfind(')');
    if (name_end == std::string::npos || name_end + 2 >= line.size()) return false;
    const char state = line[name_end + 2];
    char* rest = nullptr;
    std::strtol(line.c_str() + name_end + 3, &rest, 10);
    return state != 'Z' && state != 'X' && std::strtol(rest, nullptr, 10) == group;
}

/// The living members of `group`, of all processes of the system.
std::vector<pid_t> members_of(pid_t group) {
    std::vector<pid_t> members;
    std::error_code gone;
    const fs::directory_iterator processes("/proc", gone);
    for (auto entry = begin(processes); !gone && entry != end(processes); entry.increment(gone)) {
        const std::string name = entry->path().filename();
        const bool is_number = name.find_first_not_of("0123456789") == std::string::npos;
        if (is_number && lives_in(group, name)) members.push_back(std::atoi(name.c_str()));
    }
    return members;
}

}  // namespace

bool GroupMembers::any_is_alive() {
    if (!proc_is_ours()) return true;
    const auto lives = [this](pid_t member) { return lives_in(group_, std::to_string(member)); };
    if (std::ranges::any_of(known_, lives)) return true;
    known_ = members_of(group_);
    return !known_.empty();
}

}  // namespace asyncio::internal
