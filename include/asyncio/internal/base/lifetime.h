#pragma once
// The attribute by which clang warns of an awaitable that outlives its object:
// `auto wait = Event().wait();`. Other compilers would warn of the attribute itself. `Coro` has no
// attribute of this kind; RATIONALE.md says why.

#if defined(__has_cpp_attribute)
#if __has_cpp_attribute(clang::lifetimebound)
#define ASYNCIO_INTERNAL_LIFETIMEBOUND [[clang::lifetimebound]]
#endif
#endif
#ifndef ASYNCIO_INTERNAL_LIFETIMEBOUND
#define ASYNCIO_INTERNAL_LIFETIMEBOUND
#endif
