#pragma once
// How a program ends when no code catches the error of its main coroutine.
//
// Ctrl-C, or a signal of `terminate_on`, ends it as the signal does: a shell loop that has started
// the program, for instance, sees that it was interrupted and stops too. Any other error is shown
// with its type, its text and the places of the awaits it came through, and then ends the program
// as such errors do.
//
// Both happen in a handler of `std::terminate`, where it is certain that the error is uncaught. So
// a program that catches what leaves `run` sees no difference.
//
// Thread-safety: any thread.

#include <exception>

namespace asyncio::internal {

struct PromiseBase;

/// `error` is leaving the frame of a coroutine. Its place among the awaits is kept until the next
/// error, for a report.
void note_passage(const std::exception_ptr& error, const PromiseBase& frame) noexcept;

/// `error` is about to leave `run`, and may turn out to be uncaught.
void error_leaves_run(const std::exception_ptr& error) noexcept;

/// Writes to standard error what `error` is and, if it is the one that left `run` last, through
/// which awaits it came.
void report_uncaught(const std::exception_ptr& error) noexcept;

/// Flushes the streams and ends the process by `signal`.
[[noreturn]] void end_by_signal(int signal) noexcept;

}  // namespace asyncio::internal
