#pragma once
// The memory of this test program: `operator new`, which counts, and fails when it is told to.
//
// Every allocation counts, those of the library and of the scenario alike: the standard library is
// linked to the same operators, and frames are plain (ASYNCIO_FRAME_POOL=0), so that each frame,
// task and callback is an allocation of its own. The pool takes its memory in blocks and would hide
// them.
//
// Thread-safety: any thread.

namespace memory {

/// From now on the allocations are numbered from one, and those from `first` on fail, `count` of
/// them. Zero for `first`: none fails.
void begin(long first, long count) noexcept;
/// No allocation fails any more. Returns how many there were.
long end() noexcept;
/// Whether one has failed since `begin`.
bool has_failed() noexcept;
/// How many in a row fail in this run; zero: none.
long failing() noexcept;
/// Blocks that were allocated and not freed.
long live() noexcept;

}  // namespace memory
