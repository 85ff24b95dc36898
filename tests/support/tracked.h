#pragma once
// Values that make trouble on purpose, and values that count how many of them are alive.

#include <stdexcept>
#include <string>
#include <utility>

namespace support {

/// Counts its living instances, copies included.
class Tracked {
public:
    explicit Tracked(int number = 0) : number_(number) { ++alive_; }
    Tracked(const Tracked& other) : number_(other.number_) { ++alive_; }
    Tracked(Tracked&& other) noexcept : number_(std::exchange(other.number_, -1)) { ++alive_; }
    Tracked& operator=(const Tracked&) = default;
    Tracked& operator=(Tracked&&) = default;
    ~Tracked() { --alive_; }

    int number() const { return number_; }
    static int alive() { return alive_; }

private:
    int number_;
    static inline int alive_ = 0;
};

/// Cannot be copied, cannot be made from nothing.
struct MoveOnly {
    explicit MoveOnly(int given) : number(given) {}
    MoveOnly(MoveOnly&&) = default;
    MoveOnly& operator=(MoveOnly&&) = default;
    int number;
};

/// Throws from its copy constructor, or from its move constructor, once the count has run down.
struct Fragile {
    Fragile(int given, int safe_copies, int safe_moves)
        : number(given), copies_left(safe_copies), moves_left(safe_moves) {}
    Fragile(const Fragile& other)
        : number(other.number), copies_left(other.copies_left - 1), moves_left(other.moves_left) {
        if (other.copies_left <= 0) throw std::runtime_error("copy " + std::to_string(number));
    }
    Fragile(Fragile&& other) noexcept(false)
        : number(other.number), copies_left(other.copies_left), moves_left(other.moves_left - 1) {
        if (other.moves_left <= 0) throw std::runtime_error("move " + std::to_string(number));
    }
    int number;
    int copies_left;
    int moves_left;
};

}  // namespace support
