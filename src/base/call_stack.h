#pragma once
// Where a thread stands, in the words of its source: file, line, function.
//
// Two steps, because the first happens in a signal handler and the second needs memory and files:
// `capture_stack` notes bare addresses, `user_frames` turns them into names. What the names are for
// is to tell a user which of his lines is at fault, so frames of the C and C++ libraries and of
// this library are left out.
//
// File and line come from libbacktrace, which reads the debug information of the program and of its
// libraries. Where the build has no libbacktrace, or the program no debug information, names of
// functions are all there is.
//
// Thread-safety: all functions, any thread; `capture_stack` also in signal handlers.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace asyncio::internal {

/// The innermost frames of a stack, as addresses inside the instructions that were executing:
/// innermost first. Of a fixed size, since a signal handler cannot allocate.
struct RawStack {
    static constexpr std::size_t capacity = 64;

    std::uintptr_t addresses[capacity];
    std::size_t count = 0;

    std::span<const std::uintptr_t> span() const noexcept { return {addresses, count}; }
};

/// Notes the stack of the calling thread up to, and without, the frame whose stack pointer has
/// reached `end` (stacks grow down). In a signal handler, what was interrupted is the innermost
/// frame.
///
/// To be called once outside a signal handler first: the unwinder may prepare itself then.
void capture_stack(RawStack& stack, const void* end) noexcept;

/// The same for a signal handler, which may have interrupted the unwinder itself: where that cannot
/// be ruled out, `stack` stays as it is, and the answer is false. `prepare_to_interrupt` has to
/// be called once before, outside a signal handler.
bool capture_interrupted_stack(RawStack& stack, const void* end) noexcept;
void prepare_to_interrupt() noexcept;

/// Reads the debug information now.
void prepare_names();

struct SourceFrame {
    std::string function;  ///< Readable, without parameters. Empty if not known.
    std::string file;      ///< As the compiler was given it. Empty if not known.
    int line = 0;          ///< 0 if not known.
};

/// Whether this build can tell files and lines at all.
bool knows_lines() noexcept;

/// The frames of the user's code, innermost first; inlined functions have frames of their own.
///
/// The first call reads debug information, unless `prepare_names` has: tens of milliseconds, more
/// for a large program.
std::vector<SourceFrame> user_frames(std::span<const std::uintptr_t> addresses);

/// Which function this is the code of, and where it begins.
SourceFrame function_at(const void* code);

/// "file.cpp:42 in function", with what is known of it.
std::string to_string(const SourceFrame& frame);

/// A demangled name without return type, parameters, clone suffix and unnamed namespaces:
/// "asyncio::Coro<int> (anonymous namespace)::read<int>(int) [clone .resume]" is "read<int>".
std::string short_function_name(std::string name);

}  // namespace asyncio::internal
