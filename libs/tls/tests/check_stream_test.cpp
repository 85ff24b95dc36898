// The suite that every channel must pass, over TLS: plain, with a narrow wire, with a wire that
// shortens and delays, and over another TLS connection.

#include "streams/check_stream.h"
#include "tls_help.h"

namespace {

/// The wait for a peer that does not answer is real time here.
Coro<tls_test::Ends> impatient_ends(tls_test::MemoryChannels between) {
    tls::TlsOptions options = tls_test::to_example;
    options.shutdown_timeout = 20ms;
    tls::TlsOptions server_options;
    server_options.shutdown_timeout = 20ms;
    return tls_test::connect_over(std::move(between), tls_test::client_of(),
                                  tls_test::good_server_context(), options, server_options);
}

Coro<Pipe> over_tls(tls_test::MemoryChannels between, std::size_t limit) {
    tls_test::Ends ends = co_await impatient_ends(std::move(between));
    EventLoop& loop = get_running_loop();
    co_return asyncio::testing::one_way(Stream(loop, std::move(ends.client)),
                                        Stream(loop, std::move(ends.server)), limit);
}

Coro<Pipe> plain(std::size_t limit) { return over_tls(tls_test::channels_between({}), limit); }

Coro<Pipe> narrow(std::size_t limit) {
    return over_tls(tls_test::channels_between({.capacity_bytes = 1000}), limit);
}

Coro<Pipe> faulty(std::size_t limit) {
    return over_tls(tls_test::channels_between({.seed = support::seed_or(7)}), limit);
}

Coro<Pipe> twice(std::size_t limit) {
    tls_test::Ends outer = co_await impatient_ends(tls_test::channels_between({}));
    tls_test::MemoryChannels between{std::move(outer.client), std::move(outer.server)};
    co_return co_await over_tls(std::move(between), limit);
}

INSTANTIATE_TEST_SUITE_P(tls, check_stream,
                         ::testing::Values(Kind{"plain", plain, true}, Kind{"narrow", narrow, true},
                                           Kind{"faulty", faulty, true},
                                           Kind{"twice", twice, true}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
