#pragma once
// What the tests with foreign programs have in common: the foreign program, and the conversation
// with it.
//
// The conversation is that of peer.py. The client sends a size in 8 bytes, and as many bytes of
// data; the server sends the data back while it comes, and behind it the CRC-32 of what it has
// read, in 4 bytes.

#include <asyncio.h>

#include "support/run_test.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace peers_test {

using namespace asyncio;
using namespace std::chrono_literals;

/// The amounts at which sizes of buffers and records end.
inline const std::vector<std::uint64_t> usual_sizes = {1, 65535, 65536, 65537, 1'000'000};

/// Whether a program of this name is in PATH. A test without its program is skipped.
bool is_installed(const std::string& program);

/// A port that no program uses at this moment: for a program that cannot choose one itself.
int free_port();

/// A foreign program. Its errors go to its output, so they stand in the message of a failed test.
class Peer {
public:
    /// `command` is a program and its arguments, with blanks in between. (A list of texts in a
    /// coroutine is more than g++ 12 compiles.)
    static Coro<Peer> start(std::string command);

    /// Writes to its standard input, or ends that.
    Coro<> say(std::string text);
    void end_input() { process_.stdin.close(); }
    /// Reads its output until `text` has come. Returns everything up to there.
    Coro<std::string> output_until(std::string text);
    /// Waits for its end. Returns the rest of its output. The exit status must be 0.
    Coro<std::string> end();
    /// Ends a program that does not end by itself.
    Coro<> stop();

private:
    explicit Peer(Process process) : process_(std::move(process)) {}

    Process process_;
};

/// The client's part of the conversation.
Coro<bool> ask(const Stream& stream, std::uint64_t size);
/// The server's part. Returns the size.
Coro<std::uint64_t> answer(const Stream& stream);

/// Runs `body`, and ends it with a failure if it takes longer than a slow machine needs.
template <class Body>
void run_with_peers(Body body) {
    support::run_test([&body]() -> Coro<> { co_await timeout(50s, body); });
}

}  // namespace peers_test
