#pragma once
// When a back-end was last looked at, as coarse and as cheap as can be: it is asked at every step
// of every task.
//
// The processor's counter is read where it has one, and not compared with any clock: it counts at
// one to four gigahertz, so "some 50 µs" is between 25 and 100. Elsewhere the system's clock is
// asked.
//
// Thread-safety: none.

#include <asyncio/internal/time.h>

#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace asyncio::lowlevel {

class LookClock {
public:
    void looked() noexcept { last_ = now(); }
    bool due() const noexcept { return now() - last_ >= interval; }

private:
#if defined(__x86_64__)
    static constexpr std::uint64_t interval = 100'000;
    static std::uint64_t now() noexcept { return __rdtsc(); }
#else
    static constexpr std::uint64_t interval = 50'000;
    static std::uint64_t now() noexcept {
        return static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
    }
#endif

    std::uint64_t last_ = 0;
};

}  // namespace asyncio::lowlevel
