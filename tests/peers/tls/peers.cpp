#include "peers.h"

#include <utility>

namespace peers_test {
namespace {

std::string with_key(const tls_test::Issued& issued) {
    return issued.chain_pem() + issued.key_pem();
}

}  // namespace

const Credentials& credentials() {
    static const tls_test::Issued server({.dns = {"localhost"}, .addresses = {"127.0.0.1"}},
                                         &tls_test::root());
    static const Credentials made{TemporaryFile(tls_test::root().certificate_pem()),
                                  TemporaryFile(with_key(server)),
                                  TemporaryFile(with_key(tls_test::good_client()))};
    return made;
}

tls::Context server_context(tls::ContextOptions options) {
    options.certificate_file = credentials().server.path();
    if (options.verify) options.ca_file = credentials().trusted.path();
    return tls::server_context(options);
}

tls::Context client_context(tls::ContextOptions options) {
    options.ca_file = credentials().trusted.path();
    return tls::client_context(options);
}

Coro<tls::End> end_of(const Stream& stream) {
    try {
        const std::string rest = co_await stream.read();
        EXPECT_EQ(rest, "");
    } catch (const OsError&) {
        co_return tls::End::ragged;
    }
    co_return tls::channel_of(stream)->end();
}

}  // namespace peers_test
