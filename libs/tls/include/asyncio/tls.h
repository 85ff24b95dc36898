#pragma once
// The whole of asyncio::tls: TLS over any channel, on OpenSSL 3. No header of this library includes
// a header of OpenSSL.

#include <asyncio/tls/channel.h>
#include <asyncio/tls/context.h>
#include <asyncio/tls/errors.h>
#include <asyncio/tls/info.h>
#include <asyncio/tls/net.h>
#include <asyncio/tls/stream.h>
