// The stream as a whole: its making, and the way of its channel into another stream.
//
// A channel is taken out of a stream when another channel is put over it. Bytes that the stream has
// read ahead go with it. They must not be lost, and they must not stay in the plain stream either:
// what was sent behind the begin of the new protocol belongs to that protocol.

#include <asyncio/stream.h>

#include <asyncio/exceptions.h>

#include "streams/reader_state.h"
#include "streams/writer_state.h"

namespace asyncio {

Stream::Stream(EventLoop& loop, std::shared_ptr<lowlevel::Channel> channel, StreamOptions options)
    : reader(loop, channel, options), writer(loop, std::move(channel), options) {}

DetachedStream Stream::detach() && {
    internal::ReaderState& from = reader.state();
    internal::WriterState& to = writer.state();
    const auto refuse = [&from](const char* why) {
        throw RuntimeError("cannot detach " + from.name() + ": " + why);
    };
    if (&from.channel() != &to.channel()) refuse("its two halves have different channels");
    if (!from.can_detach()) refuse("a task reads from it, or it has ended");
    if (!to.can_detach()) refuse("bytes are not sent yet, or it has ended");
    DetachedStream detached;
    detached.unread = from.buffer.take_all();
    detached.channel = from.detach();
    to.detach();
    reader = StreamReader();
    writer = StreamWriter();
    return detached;
}

}  // namespace asyncio
