#pragma once
// Where a thread stands, in terms of its source: file, line, function.
//
// There are two steps, because the first happens in a signal handler and the second needs memory
// and files: `capture_stack` notes bare addresses, and `user_frames` turns them into names. The
// names show the user which line of the program is at fault. So frames of the C and C++ libraries
// and of this library are left out.
//
// File and line come from libbacktrace, which reads the debug information of the program and of its
// libraries. If the build has no libbacktrace, or the program has no debug information, only the
// names of functions are known.
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
/// reached `end` (stacks grow down). In a signal handler the innermost frame is the code that was
/// interrupted.
///
/// The first call has to be made outside a signal handler, because the unwinder may prepare itself
/// then.
void capture_stack(RawStack& stack, const void* end) noexcept;

/// The same for a signal handler, which may have interrupted the unwinder itself. If that cannot be
/// excluded, `stack` stays as it is, and the answer is false. `context` is the handler's third
/// argument. `prepare_to_interrupt` has to be called once before, outside a signal handler.
bool capture_interrupted_stack(RawStack& stack, const void* context, const void* end) noexcept;
void prepare_to_interrupt() noexcept;

/// Reads the debug information, so that a later `user_frames` need not.
void prepare_names();

struct SourceFrame {
    std::string function;  ///< Readable, without parameters. Empty if not known.
    std::string file;      ///< As the compiler was given it. Empty if not known.
    int line = 0;          ///< 0 if not known, and for an instruction that belongs to no line.
};

/// Whether this build can tell files and lines at all.
bool knows_lines() noexcept;

/// The frames of the user's code, innermost first; inlined functions have frames of their own.
///
/// The first call reads debug information, unless `prepare_names` has: tens of milliseconds, more
/// for a large program.
std::vector<SourceFrame> user_frames(std::span<const std::uintptr_t> addresses);

/// The function that `code` belongs to, and where it begins.
SourceFrame function_at(const void* code);

/// "file.cpp:42 in function", or the part of it that is known.
std::string to_string(const SourceFrame& frame);

/// A demangled name without return type, parameters, clone suffix and unnamed namespaces:
/// "asyncio::Coro<int> (anonymous namespace)::read<int>(int) [clone .resume]" is "read<int>".
std::string short_function_name(std::string name);

}  // namespace asyncio::internal
