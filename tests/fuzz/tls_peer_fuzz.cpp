// Goal: no bytes of a peer make a TLS engine crash, hang, grow without bound, or hand out data that
// the peer has not sent: before, within and after the handshake, as client and as server.
// Method: two engines talk through memory. The input says which bytes on the way are changed,
// dropped or added. A run may also begin with raw bytes for one engine. (Random numbers are random,
// so a crash that depends on them is found again by the corpus only with luck. What is checked in
// the clear, the first messages, is the same in each run.)

#include <asyncio/tls/context.h>

#include "certificates.h"
#include "engine/context_state.h"
#include "engine/engine.h"
#include "fuzz/fuzz.h"

#include <openssl/err.h>

namespace {

using namespace asyncio::tls;
using engine::Engine;
using fuzz::Input;
using fuzz::require;
using Progress = Engine::Progress;

constexpr std::string_view protocols[] = {"echo/1", "h2"};
constexpr std::string_view message = "what the client says";

Context server_of(Version version) {
    const tls_test::Issued& issued = tls_test::good_server();
    const std::string chain = issued.chain_pem();
    const std::string key = issued.key_pem();
    const Context named =
        server_context({.certificate_pem = chain, .key_pem = key, .alpn = protocols});
    const NamedContext names[] = {{"example.test", named}, {"*.example.test", named}};
    return server_context({.certificate_pem = chain,
                           .key_pem = key,
                           .maximum_version = version,
                           .alpn = protocols,
                           .contexts_by_name = names});
}

Context client_of(Version version) {
    const std::string trusted = tls_test::root().certificate_pem();
    return client_context({.ca_pem = trusted, .maximum_version = version, .alpn = protocols});
}

/// One direction. The input changes some of the bytes on their way.
void carry(Engine& from, Engine& to, Input& input) {
    std::string bytes = std::exchange(from.output(), {});
    if (bytes.empty()) return;
    switch (input.below(8)) {
        case 1: bytes[input.byte() % bytes.size()] ^= static_cast<char>(input.byte()); break;
        case 2: bytes.resize(input.byte() % bytes.size()); break;
        case 3: bytes.insert(input.byte() % bytes.size(), input.short_text()); break;
        case 4: bytes = input.short_text(); break;
        case 5: bytes += bytes; break;
        default: break;
    }
    to.take_in(bytes);
}

/// Goes on as far as possible. Returns what was decrypted.
std::string step(Engine& engine, bool& is_open) {
    if (!is_open) is_open = engine.handshake({}) == Progress::done;
    std::string read;
    while (is_open) {
        std::array<char, 256> room{};
        std::size_t count = 0;
        if (engine.read(room, count) != Progress::done) break;
        read.append(room.data(), count);
    }
    require(ERR_peek_error() == 0, "no error is left in OpenSSL's queue");
    require(engine.output().size() < 64 * 1024, "an engine answers with little");
    return read;
}

void check_end(Engine& engine, bool is_open) {
    if (engine.failed()) {
        require(std::string_view(engine.failure_words()) != "", "a failure has words");
        try {
            engine.throw_failure("TLS with a peer");
        } catch (const std::exception& error) {
            require(std::string_view(error.what()).size() < 500, "a message is short");
        }
    } else if (is_open) {
        static_cast<void>(engine.info());
    }
    engine.close();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    static const Context contexts[] = {server_of(Version::tls_1_2), server_of(Version::tls_1_3),
                                       client_of(Version::tls_1_2), client_of(Version::tls_1_3)};
    Input input(bytes, size);
    const std::size_t version = input.below(2);
    Engine server(contexts[version].state(), {}, {});
    Engine client(contexts[2 + version].state(), "example.test", {});
    bool server_is_open = false;
    bool client_is_open = false;
    const std::size_t raw = input.below(4);
    if (raw == 1) server.take_in(input.all());
    if (raw == 2) client.take_in(input.all());
    std::string got;
    for (std::size_t round = 0; round < 8; ++round) {
        step(client, client_is_open);
        if (client_is_open && round == 3) client.write(message);
        carry(client, server, input);
        got += step(server, server_is_open);
        carry(server, client, input);
    }
    require(message.starts_with(got), "the server reads only what the client has written");
    check_end(server, server_is_open);
    check_end(client, client_is_open);
    return 0;
}
