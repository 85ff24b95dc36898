#pragma once
// What the fuzzers have in common: taking an input apart, and saying that a rule is broken.
//
// A target is the function LLVMFuzzerTestOneInput, which libFuzzer calls with bytes that it has
// made. A crash, a report of a sanitizer, a leak and a broken rule all end the program, and
// libFuzzer then stores the input. So a target checks rules that hold for every input: a text that
// is written and read again is the same, or a simple reader that is written here says the same.
//
// Numbers are taken from the front, one byte each. So the files of a corpus can be written by hand.
//
// Thread-safety: none; a fuzzer has one thread.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace fuzz {

/// Ends the program if `holds` is false. `rule` says what is broken.
inline void require(bool holds, const char* rule) {
    if (holds) return;
    std::fprintf(stderr, "BROKEN: %s\n", rule);
    std::abort();
}

/// The input, taken apart from the front. Behind its end come zeros and empty texts.
class Input {
public:
    Input(const std::uint8_t* bytes, std::size_t size)
        : rest_(reinterpret_cast<const char*>(bytes), size) {}

    bool at_end() const { return rest_.empty(); }
    std::size_t byte() {
        if (rest_.empty()) return 0;
        const auto value = static_cast<unsigned char>(rest_.front());
        rest_.remove_prefix(1);
        return value;
    }
    std::size_t below(std::size_t end) { return byte() % end; }
    /// At most `size` bytes. A copy of that size, so a sanitizer sees a read behind its end.
    std::string text(std::size_t size) {
        const std::string taken(rest_.substr(0, size));
        rest_.remove_prefix(taken.size());
        return taken;
    }
    /// A text whose length, below 256, stands before it.
    std::string short_text() { return text(byte()); }
    std::string all() { return text(rest_.size()); }

private:
    std::string_view rest_;
};

}  // namespace fuzz
