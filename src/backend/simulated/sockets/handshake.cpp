// The steps of a connect.

#include "backend/simulated/sockets/handshake.h"

#include "backend/simulated/network.h"
#include "backend/simulated/sockets/tcp_socket.h"

#include <cerrno>
#include <new>
#include <utility>

namespace asyncio::lowlevel::simulated {

namespace {

/// The time before the first retry (TCP_TIMEOUT_INIT, RFC 6298). It doubles each time.
constexpr Duration first_wait = std::chrono::seconds{1};
/// The size of a segment without data, for links with a bandwidth.
constexpr std::size_t no_bytes = 0;

}  // namespace

Handshake::Handshake(const std::shared_ptr<TcpSocket>& client, Host& server_host)
    : client_(client), client_host_(client->host()), server_host_(server_host) {}

void Handshake::begin(Post self, Surroundings& around) noexcept {
    auto& handshake = static_cast<Handshake&>(*self.mapped());
    handshake.travel(std::move(self), Phase::request, around);
}

/// A parcel that is lost on either way looks the same to the client: no answer came in time.
void Handshake::travel(Post self, Phase next, Surroundings& around) noexcept {
    const bool goes_there = next == Phase::request;
    const Host& from = goes_there ? client_host_ : server_host_;
    const Host& to = goes_there ? server_host_ : client_host_;
    const auto time = around.network.travel(from, to, no_bytes);
    if (!time) return wait_for_retry(std::move(self), around);
    phase_ = next;
    around.deliveries.send(std::move(self), around.after(*time));
}

void Handshake::wait_for_retry(Post self, Surroundings& around) noexcept {
    phase_ = Phase::waiting_for_retry;
    around.deliveries.send(std::move(self), around.after(first_wait * (1 << losses_)));
}

/// A client that was closed in the meantime, or whose host has lost its power, connects no more.
void Handshake::arrive(Post self, Surroundings& around) noexcept {
    const std::shared_ptr<TcpSocket> client = client_.lock();
    if (client == nullptr || !client->is_connecting()) return;
    // The host may have lost its power while the request was on its way.
    if (phase_ == Phase::request && !server_host_.is_on)
        return wait_for_retry(std::move(self), around);
    switch (phase_) {
        case Phase::request: return answer_request(std::move(self), *client, around);
        case Phase::acceptance: return establish(std::move(self), *client, around);
        case Phase::refusal: return client->connect_has_failed(ECONNREFUSED, around);
        case Phase::waiting_for_retry: break;
    }
    if (++losses_ > client->most_connect_retries())
        return client->connect_has_failed(ETIMEDOUT, around);
    travel(std::move(self), Phase::request, around);
}

/// The listener may have come or gone since the last attempt.
TcpSocket* Handshake::listener_for(const TcpSocket& client) const noexcept {
    return static_cast<TcpSocket*>(server_host_.tcp.listener_for(client.peer(), client.local()));
}

/// The listener is asked twice, here and when the answer is back, since its queue may fill up
/// meanwhile.
void Handshake::answer_request(Post self, const TcpSocket& client, Surroundings& around) noexcept {
    const TcpSocket* listener = listener_for(client);
    if (listener == nullptr) return travel(std::move(self), Phase::refusal, around);
    if (listener->queue_is_full()) return wait_for_retry(std::move(self), around);
    travel(std::move(self), Phase::acceptance, around);
}

/// Without memory for the connection the request counts as lost, as in the kernel.
void Handshake::establish(Post self, TcpSocket& client, Surroundings& around) noexcept {
    TcpSocket* listener = listener_for(client);
    if (listener == nullptr) return client.connect_has_failed(ECONNREFUSED, around);
    if (listener->queue_is_full()) return wait_for_retry(std::move(self), around);
    try {
        listener->establish(client, around);
    } catch (const std::bad_alloc&) {
        wait_for_retry(std::move(self), around);
    }
}

}  // namespace asyncio::lowlevel::simulated
