#pragma once
// sendfile(2) in the simulated world: a write of bytes that come from a file and not from the
// program.
//
// The object that receives the bytes knows nothing of files. It is asked, and told, to write a
// piece of memory, which is the file's own. So the target may be a socket or a pipe. Another file
// is refused: it could be the same one, whose memory would move while it is read.
//
// As in Linux: the source must be a file that was opened for reading; without an offset its
// position is used, and moves by what was sent; at the end of the file the result is 0. A source
// that is a real file gives EINVAL, which tells callers to read and send instead.
//
// Thread-safety: none.

#include "backend/simulated/descriptors.h"

namespace asyncio::lowlevel::simulated {

/// As `Object::foresee`, for a `sendfile` into `target`.
int foresee_sendfile(const Operation& operation, const Description& target,
                     const Descriptors& descriptors) noexcept;

/// As `Object::carry_out`, when `foresee_sendfile` has answered a number that is not negative.
int carry_out_sendfile(const Operation& operation, const Description& target, Surroundings& around);

}  // namespace asyncio::lowlevel::simulated
