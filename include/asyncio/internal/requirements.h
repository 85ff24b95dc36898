#pragma once
// What a program has to be compiled with, said in a sentence instead of a hundred errors.

#if !defined(__cpp_impl_coroutine)
#error "asyncio needs coroutines: compile with -std=c++20 or later"
#endif

#if !defined(__cpp_exceptions)
#error "asyncio reports errors as exceptions: compile without -fno-exceptions"
#endif

#if !defined(__cpp_rtti)
#error "asyncio asks for the types of errors: compile without -fno-rtti"
#endif
