#pragma once
// How a TCP connection begins: SYN and its answer, as one parcel that goes there and back.
//
// The request travels to the host of the listener. There it is accepted, refused (RST), or left
// without an answer, because the queue of the listener is full; Linux does the same
// (net.ipv4.tcp_abort_on_overflow). When the answer is back, both ends of the connection exist from
// this moment on. The third step of TCP's handshake takes no time, as all acknowledgements here.
//
// A request that gets no answer is sent again after 1, 2, 4, … seconds. After TCP_SYNCNT more
// attempts, which is 127 seconds by default, the connect fails with ETIMEDOUT.
//
// Thread-safety: none.

#include "backend/simulated/deliveries.h"
#include "backend/simulated/sockets/endpoint.h"

#include <cstdint>
#include <memory>

namespace asyncio::lowlevel::simulated {

class Host;
class TcpSocket;

class Handshake final : public Parcel {
public:
    Handshake(const std::shared_ptr<TcpSocket>& client, Host& server_host);

    void arrive(Post self, Surroundings& around) noexcept override;

    /// Sends the request. `self` holds a `Handshake`, whose client has its addresses by now.
    static void begin(Post self, Surroundings& around) noexcept;

private:
    enum class Phase : std::uint8_t { waiting_for_retry, request, acceptance, refusal };

    void travel(Post self, Phase next, Surroundings& around) noexcept;
    void wait_for_retry(Post self, Surroundings& around) noexcept;
    void answer_request(Post self, const TcpSocket& client, Surroundings& around) noexcept;
    void establish(Post self, TcpSocket& client, Surroundings& around) noexcept;
    TcpSocket* listener_for(const TcpSocket& client) const noexcept;

    /// The program may close the socket at any time; the connect is given up then.
    std::weak_ptr<TcpSocket> client_;
    Host& client_host_;
    Host& server_host_;
    Phase phase_ = Phase::request;
    int losses_ = 0;
};

}  // namespace asyncio::lowlevel::simulated
