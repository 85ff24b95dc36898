// main() of every test program.
//
// A run on io_uring where the kernel refuses rings (an old kernel, a container's seccomp filter)
// can prove nothing, and must not look like a failure or, worse, like a success: it ends with the
// exit status that CTest counts as "skipped". What the library itself does about a refused ring is
// tested in the area `conformance`.

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <gtest/gtest.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

constexpr int skipped = 77;

/// 0, or the errno with which the kernel refuses a ring.
int ring_refusal() {
    io_uring_params parameters{};
    const long ring = ::syscall(SYS_io_uring_setup, 4, &parameters);
    if (ring < 0) return errno;
    ::close(static_cast<int>(ring));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const char* backend = std::getenv("ASYNCIO_BACKEND");
    if (backend != nullptr && std::string_view(backend) == "io_uring") {
        if (const int error = ring_refusal(); error != 0) {
            std::printf("SKIPPED: this kernel refuses io_uring (%s)\n", std::strerror(error));
            return skipped;
        }
    }
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
