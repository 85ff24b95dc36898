#pragma once
// Times in nanoseconds, counted in classes that are at most 3 % wide.
//
// A measurement has millions of times. To keep each of them would fill the caches, and to sort them
// would take longer than the measurement. Each power of two is divided into 32 classes of equal
// width, so any percentile is found by adding up some two thousand numbers.
#include <array>
#include <bit>
#include <cstdint>

class Histogram {
public:
    void add(int64_t nanoseconds) {
        ++counts_[place_of(static_cast<uint64_t>(nanoseconds < 0 ? 0 : nanoseconds))];
        ++size_;
    }

    // The time that the part `share` (0 to 1) of all times does not exceed, or 0 without times.
    [[nodiscard]] int64_t percentile(double share) const {
        const auto wanted = static_cast<int64_t>(share * static_cast<double>(size_));
        int64_t seen = 0;
        for (unsigned place = 0; place < counts_.size(); ++place) {
            seen += counts_[place];
            if (seen > 0 && seen >= wanted) return top_of(place);
        }
        return 0;
    }

private:
    static constexpr unsigned bits = 5;
    static constexpr unsigned parts = 1U << bits;

    static unsigned place_of(uint64_t value) {
        if (value < parts) return static_cast<unsigned>(value);
        const auto shift = static_cast<unsigned>(std::bit_width(value)) - 1 - bits;
        return (shift + 1) * parts + static_cast<unsigned>((value >> shift) - parts);
    }

    static int64_t top_of(unsigned place) {
        if (place < parts) return place;
        const unsigned shift = place / parts - 1;
        return ((static_cast<int64_t>(place % parts + parts) + 1) << shift) - 1;
    }

    std::array<int64_t, (64 - bits + 1) * parts> counts_{};
    int64_t size_ = 0;
};
