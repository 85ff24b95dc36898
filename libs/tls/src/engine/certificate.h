#pragma once
// Copies what programs need out of a certificate of OpenSSL.

#include "engine/handles.h"

#include <asyncio/tls/info.h>

namespace asyncio::tls::engine {

/// Throws: `std::bad_alloc`.
Certificate summary_of(const X509* certificate);

}  // namespace asyncio::tls::engine
