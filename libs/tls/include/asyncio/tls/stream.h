#pragma once
// TLS for streams: the upgrade of a plain connection, and what is known of a connection with TLS.
//
// A protocol like SMTP begins in plain text and changes to TLS in the middle (STARTTLS). The plain
// stream may have read ahead: the first bytes of the handshake may lie in its buffer already. So
// the upgrade consumes the stream, and its buffer goes into the engine. Bytes that an attacker has
// injected behind the last plain line are then bytes of a handshake that fails, and never data of
// the protected connection.

#include <asyncio/coro.h>
#include <asyncio/stream.h>
#include <asyncio/streams.h>
#include <asyncio/tls/channel.h>
#include <asyncio/tls/context.h>

namespace asyncio::tls {

/// Continues `stream` with TLS: `stream = co_await tls::start_tls(std::move(stream), context,
/// {.server_hostname = "mail.example.org"})`. A context for servers makes it the server's part.
///
/// The plain stream is consumed, also if this fails. `stream_options` are those of the new stream.
/// The options are checked by the call itself.
/// Throws: RuntimeError if `stream` cannot be detached, `std::invalid_argument` for bad options.
/// When awaited: CertificateError, TlsError, OsError, and TimeoutError after `handshake_timeout`.
/// Cancellation: a cancellation point if it must wait. After a cancellation or an error the
/// connection is closed.
/// Python: `StreamWriter.start_tls`, and `loop.start_tls`.
Coro<Stream> start_tls(Stream stream, const Context& context, const TlsOptions& options = {},
                       const StreamOptions& stream_options = {});

/// The TLS connection of a stream, for `info` and `end`; null if the stream has none. It lives as
/// long as the stream is open. Throws: RuntimeError if `stream` is empty.
/// Python: `writer.get_extra_info("ssl_object")`.
const TlsChannel* channel_of(const Stream& stream);

}  // namespace asyncio::tls
