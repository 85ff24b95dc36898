#pragma once
// Which sanitizer the tests were built with. Each of the two compilers says it in its own way.

#if defined(__has_feature)
#define ASYNCIO_TEST_HAS(feature) __has_feature(feature)
#else
#define ASYNCIO_TEST_HAS(feature) 0
#endif

namespace support {

#if defined(__SANITIZE_ADDRESS__) || ASYNCIO_TEST_HAS(address_sanitizer)
inline constexpr bool under_address_sanitizer = true;
#else
inline constexpr bool under_address_sanitizer = false;
#endif

#if defined(__SANITIZE_UNDEFINED__) || ASYNCIO_TEST_HAS(undefined_behavior_sanitizer)
inline constexpr bool under_undefined_sanitizer = true;
#else
inline constexpr bool under_undefined_sanitizer = false;
#endif

#if defined(__SANITIZE_THREAD__) || ASYNCIO_TEST_HAS(thread_sanitizer)
inline constexpr bool under_thread_sanitizer = true;
#else
inline constexpr bool under_thread_sanitizer = false;
#endif

}  // namespace support

#undef ASYNCIO_TEST_HAS
