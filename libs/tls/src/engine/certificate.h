#pragma once
// Copies what programs need out of a certificate of OpenSSL. The strings are bytes of the peer; the
// copy is not checked against anything.

#include <asyncio/tls/info.h>

#include "engine/handles.h"

namespace asyncio::tls::engine {

/// Throws: `std::bad_alloc`.
Certificate summary_of(const X509* certificate);

}  // namespace asyncio::tls::engine
