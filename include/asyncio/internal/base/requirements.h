#pragma once
// The options that a program has to be compiled with. Without this check a missing one would show
// as a hundred errors in other headers.

#if !defined(__cpp_impl_coroutine)
#error "asyncio needs coroutines: compile with -std=c++20 or later"
#endif

#if !defined(__cpp_exceptions)
#error "asyncio reports errors as exceptions: compile without -fno-exceptions"
#endif

#if !defined(__cpp_rtti)
#error "asyncio needs run-time type information: compile without -fno-rtti"
#endif
