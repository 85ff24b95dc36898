#pragma once
// A TCP connection in memory: two flows of bytes, one in each direction, and the sockets at their
// ends.
//
// Where a byte is. A flow keeps its bytes in one queue, from the oldest to the newest:
//
//     arrived            travelling           unsent
//     the receiver's     in segments on       the sender's; there was
//     buffer             their way            no room at the receiver yet
//
// So a byte is never copied on its way: an arrival moves a mark. The sender's buffer holds what is
// unsent and what travels. The window is the room in the receiver's buffer that no travelling byte
// will need.
//
// Segments arrive in the order in which they were sent, as TCP promises. A segment that the network
// loses gives its bytes back to the sender, and holds up its flow: everything is sent again later,
// each time after twice the time, as RFC 6298 says. So loss on a link shows as delay, and a
// partition as silence. After the last attempt the sender's socket reports ETIMEDOUT.
//
// The end of a flow is a segment, too: FIN behind the last byte, or RST, which drops what is
// unsent. A socket that is closed answers bytes that arrive with RST. An end that knows nothing of
// the connection any more, because it has given up or its host was off, answers FIN so as well.
//
// What is simpler than in TCP. Acknowledgements and the news of a window take no time and are never
// lost. There is no congestion control; the bandwidth of a link limits a flow (network.h).
//
// Owners. The sockets and the segments share the connection. It knows its sockets by plain
// pointers, which a socket clears when it is closed.
//
// Memory. A segment that must be sent without a chance to fail, such as the FIN of a close, uses
// the flow's spare one. If that is on its way, its arrival sends what is due then.
//
// Thread-safety: none.

#include "backend/simulated/byte_queue.h"
#include "backend/simulated/deliveries.h"
#include "backend/simulated/sockets/messages.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace asyncio::lowlevel::simulated {

class Host;
class TcpSocket;

/// The ends are 0, where the connect came from, and 1. The flow of an end is the one that leaves
/// it.
class Connection : public std::enable_shared_from_this<Connection> {
public:
    /// Throws: `std::bad_alloc`.
    Connection(TcpSocket& client, TcpSocket& server);

    /// How many bytes an end may send now.
    std::size_t room(int end) const noexcept;
    /// How many bytes of an end are not at the receiver yet.
    std::size_t pending(int end) const noexcept;
    /// Sends the first `count` bytes of a request, not more than there is room for. Throws:
    /// `std::bad_alloc`; nothing was sent then.
    void send(int end, const Transfer& transfer, std::size_t count, Surroundings& around);
    /// No more bytes come from this end: FIN behind those that were sent.
    void finish(int end, Surroundings& around) noexcept;
    /// RST, in place of what is unsent.
    void reset(int end, Surroundings& around) noexcept;

    /// The bytes that have arrived at an end.
    std::span<const std::byte> arrived_at(int end) const noexcept;
    /// Removes the first `count` of them.
    void remove(int end, std::size_t count, Surroundings& around) noexcept;

    /// The socket at the end is closed. What it has sent is still delivered.
    void detach(int end) noexcept { sockets_[index(end)] = nullptr; }
    /// The end sends nothing any more, not even again.
    void silence(int end) noexcept;
    /// The host of the end has lost its power, and its memory of the connection.
    void forget(int end, Surroundings& around) noexcept;
    /// Breaks the connection off at both ends, as a device on the way can do it.
    void abort(Surroundings& around) noexcept;
    Host& host_at(int end) const noexcept { return *hosts_[index(end)]; }
    /// Whether both flows have ended, and their ends have arrived.
    bool is_finished() const noexcept { return flows_[0].has_ended && flows_[1].has_ended; }

private:
    enum class Mark : std::uint8_t { bytes, finish, reset };
    /// `forgotten`: as `silent`, but bytes and FIN that come are answered by RST.
    enum class Ending : std::uint8_t { open, finish, reset, silent, forgotten };
    class Segment;

    struct Flow {
        ByteQueue bytes;
        std::size_t arrived = 0;
        std::size_t travelling = 0;
        Ending ending = Ending::open;
        bool ending_is_sent = false;
        /// The FIN has arrived.
        bool has_ended = false;
        /// The receiver takes nothing any more: what is on its way is dropped when it arrives.
        bool is_refused = false;
        /// A segment was lost. Nothing is sent before the time has come to try again.
        bool held_up = false;
        /// How often segments were lost in a row, and since when.
        int losses = 0;
        TimePoint first_loss{};
        /// When the last segment arrives: the next one is not earlier.
        TimePoint last_arrival{};
        Post spare;
    };

    static std::size_t index(int end) noexcept { return static_cast<std::size_t>(end); }
    Flow& flow(int end) noexcept { return flows_[index(end)]; }
    const Flow& flow(int end) const noexcept { return flows_[index(end)]; }
    TcpSocket* socket(int end) const noexcept { return sockets_[index(end)]; }
    bool is_mute(int end) const noexcept {
        return flow(end).ending == Ending::silent || flow(end).ending == Ending::forgotten;
    }

    std::size_t unsent(int end) const noexcept;
    std::size_t window(int end) const noexcept;
    void pump(int end, Surroundings& around) noexcept;
    Post take_segment(int end) noexcept;
    void dispatch(int end, Post segment, Surroundings& around) noexcept;
    void arrive(int end, Post segment, Surroundings& around) noexcept;
    void lose(int end, Post segment, Surroundings& around) noexcept;
    void try_again(int end, Surroundings& around) noexcept;
    void give_up(int end, Surroundings& around) noexcept;
    void accept_bytes(int end, std::size_t count, Surroundings& around) noexcept;
    void refuse(int end, Surroundings& around) noexcept;

    std::array<Flow, 2> flows_;
    std::array<TcpSocket*, 2> sockets_;
    std::array<Host*, 2> hosts_;
};

}  // namespace asyncio::lowlevel::simulated
