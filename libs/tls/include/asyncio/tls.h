#pragma once
// The whole of asyncio::tls: TLS over any channel, on OpenSSL 3.

#include <asyncio/tls/channel.h>
#include <asyncio/tls/context.h>
#include <asyncio/tls/errors.h>
#include <asyncio/tls/info.h>
#include <asyncio/tls/stream.h>
