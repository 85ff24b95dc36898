#pragma once
// Loads certificates, keys and lists of revoked certificates into a context of OpenSSL.
//
// Every text goes through one way, whether it comes from a file or from the program. (OpenSSL has
// two sets of functions, and only that for files takes a whole chain.)

#include <asyncio/tls/context.h>

#include "engine/handles.h"

namespace asyncio::tls::engine {

/// The own certificate with its chain, and its key. Returns false if the options name none.
/// Throws: TlsError; OsError if a file cannot be read; `std::invalid_argument`.
bool load_identity(SSL_CTX* context, const ContextOptions& options);

/// The trusted certificates. Throws: as `load_identity`; `std::invalid_argument` if a server is to
/// verify its clients and trusts no certificate.
void load_trusted(SSL_CTX* context, const ContextOptions& options, bool is_server);

/// The lists of revoked certificates. Without any nothing is checked. Throws: as `load_identity`.
void load_revocation_lists(SSL_CTX* context, const ContextOptions& options);

}  // namespace asyncio::tls::engine
