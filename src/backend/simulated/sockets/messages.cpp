// The copies between buffers and queues, and the layout of ancillary data (cmsg(3)).
//
// Passengers board when a message is sent, and alight when it is received. In between they belong
// to the message. A passenger that does not alight (no room, no header, the socket is closed) is
// let go, which closes the file if no other descriptor names it.

#include "backend/simulated/sockets/messages.h"

#include "backend/simulated/sockets/endpoint.h"
#include "base/control_messages.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>

namespace asyncio::lowlevel::simulated {

namespace {

/// SCM_MAX_FD of Linux.
constexpr std::size_t most_passengers = 253;

/// A duplicate of a real descriptor, above the numbers of the standard streams.
Fd duplicate(int number) noexcept { return Fd(::fcntl(number, F_DUPFD_CLOEXEC, 3)); }

/// The kernel holds the file and not its number, so the sender may close the number at once.
int board_one(int number, const Descriptors& descriptors, Passengers& passengers) {
    if (passengers.size() == most_passengers) return -EINVAL;
    Passenger& passenger = passengers.emplace_back();
    if (number < first_number) {
        passenger.real = duplicate(number);
        return passenger.real ? 0 : -errno;
    }
    const Descriptor* descriptor = descriptors.find(number);
    if (descriptor == nullptr) return -EBADF;
    passenger.file = descriptor->file;
    return 0;
}

/// The receiver gets a number of its own, as recvmsg(2) gives one.
int number_for(const Passenger& passenger, Descriptors& descriptors) {
    if (passenger.file != nullptr) return descriptors.open(passenger.file);
    return duplicate(passenger.real.get()).release();
}

}  // namespace

/// `read` and `write` have no flags: the member belongs to other kinds. A read without a buffer of
/// its own is limited by the scratch memory.
Transfer::Transfer(Operation& operation) noexcept {
    const bool has_flags =
        operation.kind == OperationKind::recv || operation.kind == OperationKind::send;
    flags = has_flags ? operation.flags : 0;
    size = operation.size;
    one_ = {operation.buffer, operation.size};
    if (operation.receive == nullptr) return;
    receiver_ = &operation;
    size = std::min(size, Scratch::size_bytes);
}

/// A sum, because the parts are one message: where one part ends and the next begins has no
/// meaning.
std::size_t Transfer::size_of(const msghdr& message) noexcept {
    std::size_t size = 0;
    for (const iovec& part : std::span(message.msg_iov, message.msg_iovlen)) size += part.iov_len;
    return size;
}

std::span<const iovec> Transfer::parts() const noexcept {
    if (header == nullptr) return {&one_, 1};
    return {header->msg_iov, header->msg_iovlen};
}

/// The parts are filled one after the other. No more bytes come than they hold.
int Transfer::deliver(std::span<const std::byte> bytes, Surroundings& around) const noexcept {
    if (bytes.empty()) return 0;
    if (receiver_ != nullptr) {
        const std::span<char> room = around.scratch.take(bytes.size());
        if (room.data() == nullptr) return -ENOMEM;
        std::memcpy(room.data(), bytes.data(), room.size());
        receiver_->receive(*receiver_, room);
        return 0;
    }
    for (const iovec& part : parts()) {
        const std::size_t count = std::min(part.iov_len, bytes.size());
        if (count > 0) std::memcpy(part.iov_base, bytes.data(), count);
        bytes = bytes.subspan(count);
    }
    return 0;
}

/// Without memory for all of the bytes none of them is kept: a part of a write that was reported as
/// failed would be sent twice when the program repeats it.
void Transfer::collect(std::size_t count, ByteQueue& queue) const {
    const std::size_t before = queue.size();
    try {
        for (const iovec& part : parts()) {
            const std::size_t wanted = std::min(part.iov_len, count);
            queue.put(part.iov_base, wanted);
            count -= wanted;
        }
    } catch (...) {
        queue.keep_first(before);
        throw;
    }
}

/// As with getsockname(2), the length is that of the whole address, also if less fits.
void Transfer::answer_address(const Address& address) const noexcept {
    if (header == nullptr) return;
    const std::size_t length = copy_out(address, header->msg_name, header->msg_namelen);
    header->msg_namelen = header->msg_name == nullptr ? 0 : static_cast<socklen_t>(length);
}

/// Ancillary data of other kinds (credentials, the interface of a datagram) is skipped: it has no
/// effect here.
int board(const msghdr& message, const Descriptors& descriptors, Passengers& passengers) {
    int error = 0;
    const bool is_whole = internal::visit_descriptors(message, [&](int number) {
        if (error == 0) error = board_one(number, descriptors, passengers);
    });
    if (error != 0) return error;
    return is_whole ? 0 : -EINVAL;
}

/// All numbers are opened before any is written, so that a failure can close them again.
int alight(const Passengers& passengers, const Transfer& transfer, Surroundings& around) {
    if (transfer.header == nullptr) return 0;
    msghdr& message = *transfer.header;
    const std::size_t room =
        message.msg_control == nullptr || message.msg_controllen < CMSG_LEN(sizeof(int))
            ? 0
            : (message.msg_controllen - CMSG_LEN(0)) / sizeof(int);
    std::vector<int> numbers;
    numbers.reserve(std::min(room, passengers.size()));
    try {
        for (std::size_t i = 0; i < room && i < passengers.size(); ++i) {
            const int number = number_for(passengers[i], around.descriptors);
            if (number < 0) break;
            numbers.push_back(number);
        }
    } catch (...) {
        for (const int number : numbers) {
            if (number >= first_number)
                around.descriptors.close(number);
            else
                Fd(number).reset();
        }
        throw;
    }
    const std::size_t count = numbers.size();
    if (count > 0) {
        cmsghdr* part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(count * sizeof(int));
        std::memcpy(CMSG_DATA(part), numbers.data(), count * sizeof(int));
        message.msg_controllen = std::min(message.msg_controllen, CMSG_SPACE(count * sizeof(int)));
    } else {
        message.msg_controllen = 0;
    }
    return count < passengers.size() ? MSG_CTRUNC : 0;
}

void dismiss(Passengers passengers, Surroundings& around) noexcept {
    for (Passenger& passenger : passengers) {
        if (passenger.file != nullptr) let_go(std::move(passenger.file), around);
    }
}

}  // namespace asyncio::lowlevel::simulated
