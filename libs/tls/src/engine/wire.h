#pragma once
// The memory BIO of an engine: ciphertext that has come and was not read, and ciphertext that is to
// be sent.
//
// OpenSSL has a memory BIO of its own. It keeps the memory of the largest amount that it ever held,
// one for each direction of each connection, and gives out its bytes as copies only. With this one
// the channel takes the string that OpenSSL has written and sends it as it is, and a connection
// that waits holds no memory: its buffers go to the spares of the context, and come from there.
//
// A read of an empty wire is "try again", never the end of the stream. The engine notes the end
// itself: OpenSSL would call a missing close_notify an error, and spoil the session for later.
//
// Thread-safety: none.

#include "engine/spare_buffers.h"

#include <cstddef>
#include <span>
#include <string>

#include <openssl/bio.h>

namespace asyncio::tls::engine {

class Wire {
public:
    /// `spares` must outlive the wire.
    explicit Wire(SpareBuffers& spares) noexcept : spares_(spares) {}
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;

    /// Appends bytes of the peer. False if there is no memory for them.
    bool take_in(std::span<const char> bytes) noexcept;
    /// How many bytes of the peer OpenSSL has not read.
    std::size_t unread() const noexcept { return input_.size() - input_taken_; }
    /// Gives the memory of the input and the output back, as far as they are empty.
    void rest() noexcept;

    /// What OpenSSL has written. The channel takes it out.
    std::string output;
    /// There was no memory for something that OpenSSL has written.
    bool out_of_memory = false;

    /// A new BIO on `wire`, which must outlive it; null without memory.
    static BIO* new_bio(Wire& wire) noexcept;

private:
    static int read(BIO* bio, char* into, int size) noexcept;
    static int write(BIO* bio, const char* from, int size) noexcept;
    static long control(BIO* bio, int command, long number, void* pointer) noexcept;
    static BIO_METHOD* method() noexcept;

    SpareBuffers& spares_;
    std::string input_;
    /// How many bytes at the front of `input_` OpenSSL has read. They are not removed one record
    /// after the other, which would move the rest each time.
    std::size_t input_taken_ = 0;
};

}  // namespace asyncio::tls::engine
