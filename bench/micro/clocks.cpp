// The measurement of processor time and memory, by getrusage and /proc.

#include "benchmark.h"

#include <fstream>

#include <sys/resource.h>
#include <unistd.h>

namespace bench {
namespace {

double nanoseconds_of(const timeval& time) {
    return (static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec)) * 1e3;
}

rusage usage() {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    return used;
}

double cpu_nanoseconds() {
    const rusage used = usage();
    return nanoseconds_of(used.ru_utime) + nanoseconds_of(used.ru_stime);
}

}  // namespace

CpuClock::CpuClock() : start_(cpu_nanoseconds()) {}

double CpuClock::nanoseconds() const { return cpu_nanoseconds() - start_; }

double resident_bytes() {
    std::ifstream statm("/proc/self/statm");
    double total_pages = 0;
    double resident_pages = 0;
    statm >> total_pages >> resident_pages;
    return resident_pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double peak_resident_bytes() { return static_cast<double>(usage().ru_maxrss) * 1024; }

}  // namespace bench
