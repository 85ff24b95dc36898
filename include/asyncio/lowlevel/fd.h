#pragma once
// Ownership of a file descriptor.

#include <utility>

namespace asyncio::lowlevel {

/// Owns a file descriptor and closes it. Move-only. −1 is "none".
///
/// Closing here is a plain system call: right for pipes, sockets and pidfds, whose close does not
/// block, and before a loop runs. A descriptor the simulated back-end made is closed through the
/// back-end instead (`OperationKind::close`).
class Fd {
public:
    Fd() noexcept = default;
    explicit Fd(int number) noexcept : number_(number) {}
    Fd(Fd&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) {
            reset();
            number_ = std::exchange(other.number_, -1);
        }
        return *this;
    }
    ~Fd() { reset(); }

    int get() const noexcept { return number_; }
    explicit operator bool() const noexcept { return number_ >= 0; }

    /// Gives the descriptor away; this object holds none afterwards.
    [[nodiscard]] int release() noexcept { return std::exchange(number_, -1); }

    /// Closes now. errno is left as it was.
    void reset() noexcept;

private:
    int number_ = -1;
};

/// The same open file under a number above 2, which is `fd` itself unless the program was started
/// without standard streams: what gets one of their numbers is taken for one sooner or later, by
/// the C library or by a child. Close-on-exec. Holds none if there is no number left (errno says
/// so).
Fd clear_of_standard(Fd fd) noexcept;

}  // namespace asyncio::lowlevel
