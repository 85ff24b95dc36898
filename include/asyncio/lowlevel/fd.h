#pragma once
// Ownership of a file descriptor.

#include <utility>

namespace asyncio::lowlevel {

/// Owns a file descriptor and closes it. Move-only. −1 is "none".
///
/// The destructor makes a plain system call. The call is right for pipes, sockets and pidfds, whose
/// close does not block, and before a loop runs. A descriptor that the simulated back-end has made
/// is closed through the back-end instead (`OperationKind::close`), because its number is no
/// descriptor of the kernel.
class Fd {
public:
    Fd() noexcept = default;
    /// Takes the ownership of the descriptor `number`.
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

    /// The number; −1 if this object holds no descriptor.
    int get() const noexcept { return number_; }
    explicit operator bool() const noexcept { return number_ >= 0; }

    /// Gives the descriptor away; this object holds none afterwards.
    [[nodiscard]] int release() noexcept { return std::exchange(number_, -1); }

    /// Closes the descriptor now. Does not change errno.
    void reset() noexcept;

private:
    int number_ = -1;
};

/// Returns `fd`, or if its number is 0, 1 or 2, the same open file under a number above 2. A
/// program that was started without standard streams gets these numbers for its own files; the C
/// library or a child would then take such a file for a standard stream. The new descriptor is
/// close-on-exec. The result holds no descriptor if there is no number left (errno says so).
Fd clear_of_standard(Fd fd) noexcept;

}  // namespace asyncio::lowlevel
