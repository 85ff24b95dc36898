#pragma once
// Statements that a certificate is not revoked, which a server sends with it (OCSP stapling, RFC
// 6066 section 8 and RFC 6960).
//
// A client asks every server for a statement. What it gets decides:
//   valid, and says "revoked"    the certificate is refused
//   valid, and says "good"       it is accepted
//   anything else, or nothing    it is accepted, unless the certificate demands a statement (RFC
//                                7633) or the program does (`demand_revocation_status`)
//
// An attacker with a revoked certificate leaves the statement out, so the third case is the usual
// compromise of clients: to refuse it would refuse most servers. A statement that cannot be
// verified counts as none for the same reason.
//
// No list of revoked certificates is fetched, and no responder is asked: a handshake would then
// depend on a third party.

#include "engine/handles.h"

namespace asyncio::tls::engine {

/// The client's callback: looks at the statement. 1: continue; 0: refuse.
int check_revocation_status(SSL* ssl, void*) noexcept;

/// The server's callback: sends the statement of its context.
int give_revocation_status(SSL* ssl, void*) noexcept;

}  // namespace asyncio::tls::engine
