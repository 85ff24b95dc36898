// Goal: no control message makes a receiver read or write outside of its memory, lose a datagram of
// a series, or take a descriptor that is none.
// Method: the input is the control memory, as a kernel or a program may have written it. A walk by
// indexes, written here, says what is in it. The room for datagrams gets the same memory.

#include "base/control_messages.h"
#include "fuzz/fuzz.h"
#include "net/receive_room.h"

#include <memory>
#include <vector>

#include <netinet/in.h>
#include <netinet/udp.h>

namespace {

using fuzz::Input;
using fuzz::require;

struct Found {
    bool is_whole = true;
    std::vector<int> descriptors;
    int series = 0;

    bool operator==(const Found&) const = default;
};

int number_at(const std::string& bytes, std::size_t at) {
    int number = 0;
    std::memcpy(&number, bytes.data() + at, sizeof number);
    return number;
}

/// The simple walk: a length of 8 bytes, the level, the type, the data; each begins at 8 bytes.
Found read_simply(const std::string& bytes) {
    Found found;
    for (std::size_t at = 0; bytes.size() >= 16 && at <= bytes.size() - 16;) {
        std::size_t length = 0;
        std::memcpy(&length, bytes.data() + at, sizeof length);
        found.is_whole = length >= 16 && length <= bytes.size() - at;
        if (!found.is_whole) break;
        const int level = number_at(bytes, at + 8);
        const int type = number_at(bytes, at + 12);
        for (std::size_t i = at + 16; i + 4 <= at + length; i += 4) {
            if (level == SOL_SOCKET && type == SCM_RIGHTS)
                found.descriptors.push_back(number_at(bytes, i));
            if (level == SOL_UDP && type == UDP_GRO && i == at + 16)
                found.series = number_at(bytes, i);
        }
        at += (length + 7) / 8 * 8;
    }
    return found;
}

msghdr header_over(std::string& control) {
    msghdr header{};
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    return header;
}

void check_walk(std::string control) {
    const Found expected = read_simply(control);
    Found found;
    const msghdr header = header_over(control);
    const auto take = [&](int number) { found.descriptors.push_back(number); };
    found.is_whole = asyncio::internal::visit_descriptors(header, take);
    found.series = expected.series;
    require(found == expected, "the walk finds what the simple walk finds");
}

/// A message in the room for datagrams: its control memory, its flags and its bytes.
void check_series(std::string control, int flags, std::string data) {
    static const auto room = std::make_unique<asyncio::internal::ReceiveRoom>();
    const asyncio::lowlevel::OperationRequest request = room->request(0, 1, true);
    auto* const message = static_cast<mmsghdr*>(request.buffer);
    require(control.size() <= message->msg_hdr.msg_controllen, "the input fits");
    // Its own memory, so that a sanitizer sees its end.
    message->msg_hdr.msg_control = control.data();
    message->msg_hdr.msg_controllen = control.size();
    message->msg_hdr.msg_flags = flags;
    message->msg_hdr.msg_namelen = 0;
    std::memcpy(message->msg_hdr.msg_iov->iov_base, data.data(), data.size());
    message->msg_len = static_cast<unsigned>(data.size());
    std::vector<asyncio::ReceivedFrom> datagrams;
    const std::size_t dropped = room->take(1, datagrams);
    const int series = read_simply(control).series;
    const bool is_lost = series <= 0 && (flags & MSG_CTRUNC) != 0;
    require(dropped == (is_lost ? 1U : 0U), "a series of unknown length is dropped");
    require(is_lost == datagrams.empty(), "a message is one datagram at least");
    std::string joined;
    for (std::size_t i = 0; i < datagrams.size(); ++i) {
        const std::size_t length = datagrams[i].data.size();
        const bool is_last = i + 1 == datagrams.size();
        if (series > 0 && !is_last) require(length == static_cast<std::size_t>(series), "equal");
        joined += datagrams[i].data;
    }
    if (!is_lost) require(joined == data, "no byte is lost");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    Input input(bytes, size);
    const int flags = input.below(2) == 0 ? 0 : MSG_CTRUNC;
    const std::string data = input.short_text();
    const std::string control = input.text(512);
    check_walk(control);
    check_series(control, flags, data);
    return 0;
}
