// Uses asyncio::tls from an installation.

#include <asyncio/tls.h>

#include <stdexcept>

int main() {
    const asyncio::tls::Context context = asyncio::tls::client_context();
    try {
        asyncio::tls::server_context({});
    } catch (const std::invalid_argument&) {
        return context.is_server() ? 1 : 0;
    }
    return 1;
}
