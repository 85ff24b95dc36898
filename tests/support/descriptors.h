#pragma once
// How many descriptors are open, for tests of who closes them.

#include <filesystem>
#include <iterator>

namespace support {

/// How many descriptors the process has.
inline int open_descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<int>(std::distance(begin(all), end(all))) - 1;  // not the one that reads
}

}  // namespace support
