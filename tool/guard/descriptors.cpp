// The limit of descriptors, and the descriptors that were open when the program started.
//
// A command that finds no descriptor waits for another command to end (`room.h`). A batch should
// not rely on this: other parts of the program need descriptors as well. So the room is computed
// before a workplace opens, and it limits the number of workplaces.

#include "guard/descriptors.h"

#include <algorithm>
#include <cstdio>

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

namespace tool {
namespace {

/// The reading ends of two pipes, and the pidfd of the process.
constexpr rlim_t per_command = 3;
/// The standard streams, the job log, the loop, both ends of the pipes of a command that is being
/// started, and some files of /proc.
constexpr rlim_t for_ourselves = 22;
/// An inherited descriptor with a higher number is not found. Launchers leave low numbers open, and
/// the limit keeps the list for poll(2) small where a process may have a million descriptors.
constexpr rlim_t most_looked_at = 4096;

}  // namespace

std::size_t make_room_for(std::size_t commands) noexcept {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return commands;
    const rlim_t wanted = for_ourselves + per_command * commands;
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = std::min(wanted, limit.rlim_max);
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= wanted) return commands;
    const rlim_t left = limit.rlim_cur - std::min(limit.rlim_cur, for_ourselves);
    return std::max<std::size_t>(left / per_command, 1);
}

std::vector<int> inherited_descriptors() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const auto end = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, most_looked_at));
    std::vector<pollfd> descriptors;
    for (int number = STDERR_FILENO + 1; number < end; ++number)
        descriptors.push_back({number, 0, 0});
    // poll(2) marks closed descriptors as POLLNVAL. One call answers for all of them, without
    // /proc.
    if (::poll(descriptors.data(), descriptors.size(), 0) < 0) return {};
    std::vector<int> open;
    for (const pollfd& descriptor : descriptors) {
        if ((descriptor.revents & POLLNVAL) == 0) open.push_back(descriptor.fd);
    }
    return open;
}

void fill_standard_streams() noexcept {
    // A new descriptor always gets the lowest number that is free.
    for (;;) {
        std::FILE* file = std::fopen("/dev/null", "r");
        if (file == nullptr || ::fileno(file) > STDERR_FILENO) {
            if (file != nullptr) std::fclose(file);
            return;
        }
    }
}

}  // namespace tool
