#include "engine/wire.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace asyncio::tls::engine {

/// Bytes that were read are dropped when all are read, which costs nothing. OpenSSL reads
/// everything before it asks for more, so the input does not grow.
bool Wire::take_in(std::span<const char> bytes) noexcept {
    try {
        if (unread() == 0) {
            input_.clear();
            input_taken_ = 0;
            spares_.provide(input_);
        }
        input_.append(bytes.data(), bytes.size());
        return true;
    } catch (const std::bad_alloc&) {
        out_of_memory = true;
        return false;
    }
}

/// `clear` would keep the memory. Input that was read to its end is still in the string.
void Wire::rest() noexcept {
    if (unread() == 0) {
        spares_.take_back(input_);
        input_.clear();
        input_taken_ = 0;
    }
    if (output.empty()) spares_.take_back(output);
}

/// The answer to an empty wire is "retry", which OpenSSL passes on as SSL_ERROR_WANT_READ.
int Wire::read(BIO* bio, char* into, int size) noexcept {
    Wire& wire = *static_cast<Wire*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const std::size_t count = std::min(static_cast<std::size_t>(size), wire.unread());
    if (count == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    std::memcpy(into, wire.input_.data() + wire.input_taken_, count);
    wire.input_taken_ += count;
    return static_cast<int>(count);
}

/// Takes everything: the engine encrypts little at a time, so the output is bounded.
int Wire::write(BIO* bio, const char* from, int size) noexcept {
    Wire& wire = *static_cast<Wire*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (wire.output.empty()) wire.spares_.provide(wire.output);
    try {
        wire.output.append(from, static_cast<std::size_t>(size));
        return size;
    } catch (const std::bad_alloc&) {
        wire.out_of_memory = true;
        return -1;
    }
}

/// OpenSSL asks a BIO many questions, about sockets and records, which a wire need not answer. It
/// flushes after each flight of a handshake, and fails if the answer is not 1.
long Wire::control(BIO*, int command, long, void*) noexcept {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

/// One for the process. It is not freed, since the last connection may end when the program does.
BIO_METHOD* Wire::method() noexcept {
    static BIO_METHOD* const made = [] {
        BIO_METHOD* fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
        if (fresh != nullptr) {
            BIO_meth_set_read(fresh, &Wire::read);
            BIO_meth_set_write(fresh, &Wire::write);
            BIO_meth_set_ctrl(fresh, &Wire::control);
        }
        return fresh;
    }();
    return made;
}

/// The BIO does not own the wire: the engine does, and outlives it.
BIO* Wire::new_bio(Wire& wire) noexcept {
    BIO* bio = method() != nullptr ? BIO_new(method()) : nullptr;
    if (bio == nullptr) return nullptr;
    BIO_set_data(bio, &wire);
    BIO_set_init(bio, 1);
    return bio;
}

}  // namespace asyncio::tls::engine
