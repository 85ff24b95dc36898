// `raw_uring_poll`: the least that an echo server can do when io_uring reports readiness and plain
// system calls move the bytes.
//
//   raw_uring_poll
//
// One poll per connection (POLL_ADD, multishot) reports every arrival for the life of the
// connection. The server then receives into one buffer, which all connections share, and sends from
// it, as `raw_epoll` does. Compared with a receive in the ring a message costs two system calls
// more, and saves the choice and the return of a buffer. The buffer stays in the cache, which is
// worth more than the calls when messages are long.
//
// A receive that does not fill the buffer has emptied the socket. What comes later is a new report.
// A connection is closed when its poll has ended, because the kernel holds the file until then. The
// rest of a message that the kernel did not take at once is sent by the ring. For this the sockets
// are blocking ones: on a non-blocking socket the ring would answer EAGAIN instead of waiting.

#define _GNU_SOURCE
#include "listener.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { requests = 4096, results = 16384, buffer_size = 64 * 1024 };
enum operation { accepted, ready, sent, removed };

struct connection {
    char* rest;  // what must be sent before anything else is received
    bool watched;
    bool ending;
};

static struct io_uring ring;
static char buffer[buffer_size];
static struct connection* connections;  // by descriptor

static uint64_t name_of(enum operation operation, int descriptor) {
    return (uint64_t)operation << 32 | (uint32_t)descriptor;
}

static struct io_uring_sqe* request(void) {
    struct io_uring_sqe* entry = io_uring_get_sqe(&ring);
    if (entry != NULL) return entry;
    io_uring_submit(&ring);
    entry = io_uring_get_sqe(&ring);
    if (entry == NULL) fail("io_uring_get_sqe");
    return entry;
}

static void accept_from(int listener) {
    struct io_uring_sqe* entry = request();
    io_uring_prep_multishot_accept(entry, listener, NULL, NULL, SOCK_CLOEXEC);
    entry->user_data = name_of(accepted, 0);
}

static void watch(int descriptor) {
    struct io_uring_sqe* entry = request();
    io_uring_prep_poll_multishot(entry, descriptor, POLLIN | POLLRDHUP);
    entry->user_data = name_of(ready, descriptor);
    connections[descriptor].watched = true;
}

static void begin_to_end(int descriptor) {
    connections[descriptor].ending = true;
    if (!connections[descriptor].watched) return;
    struct io_uring_sqe* entry = request();
    // POLL_REMOVE would answer EALREADY, and leave the poll, while the poll is about to report.
    io_uring_prep_cancel64(entry, name_of(ready, descriptor), 0);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    entry->user_data = name_of(removed, descriptor);
}

static void close_if_ended(int descriptor) {
    const struct connection* connection = &connections[descriptor];
    if (connection->ending && !connection->watched && connection->rest == NULL) close(descriptor);
}

static void send_rest(int descriptor, const char* bytes, size_t size) {
    char* rest = malloc(size);
    if (rest == NULL) fail("malloc");
    memcpy(rest, bytes, size);
    connections[descriptor].rest = rest;
    struct io_uring_sqe* entry = request();
    io_uring_prep_send(entry, descriptor, rest, size, MSG_NOSIGNAL | MSG_WAITALL);
    entry->user_data = name_of(sent, descriptor);
}

static void echo(int descriptor, bool peer_has_ended) {
    for (;;) {
        const ssize_t got = recv(descriptor, buffer, sizeof buffer, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) break;
        ssize_t sent = send(descriptor, buffer, (size_t)got, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN) sent = 0;
        if (sent < 0) break;
        if (sent < got) {
            send_rest(descriptor, buffer + sent, (size_t)(got - sent));
            return;
        }
        if ((size_t)got < sizeof buffer && !peer_has_ended) return;
    }
    begin_to_end(descriptor);
}

static void on_ready(int descriptor, int result, unsigned flags) {
    struct connection* connection = &connections[descriptor];
    connection->watched = (flags & IORING_CQE_F_MORE) != 0;
    if (!connection->ending && connection->rest == NULL) {
        echo(descriptor, (result & POLLRDHUP) != 0);
    }
    // A poll ends by itself when its results do not fit.
    if (!connection->watched && !connection->ending) watch(descriptor);
    close_if_ended(descriptor);
}

static void on_rest_sent(int descriptor) {
    free(connections[descriptor].rest);
    connections[descriptor].rest = NULL;
    // Reports that came in the meantime were not acted on, so an end is looked for too.
    if (!connections[descriptor].ending) echo(descriptor, true);
    close_if_ended(descriptor);
}

static void dispatch(const struct io_uring_cqe* entry, int listener) {
    const int descriptor = (int)(uint32_t)entry->user_data;
    switch ((enum operation)(entry->user_data >> 32)) {
        case accepted:
            if (entry->res >= 0) {
                connections[entry->res] = (struct connection){NULL, false, false};
                watch(entry->res);
            }
            if ((entry->flags & IORING_CQE_F_MORE) == 0) accept_from(listener);
            break;
        case ready: on_ready(descriptor, entry->res, entry->flags); break;
        case sent: on_rest_sent(descriptor); break;
        case removed: break;
    }
}

static void make_ring(void) {
    struct io_uring_params parameters = {.cq_entries = results};
    parameters.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER |
                       IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL;
    errno = -io_uring_queue_init_params(requests, &ring, &parameters);
    if (errno != 0) fail("io_uring_queue_init_params");
    if (io_uring_register_ring_fd(&ring) != 1) fail("io_uring_register_ring_fd");
}

int main(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) fail("getrlimit");
    connections = calloc(limit.rlim_cur, sizeof *connections);
    if (connections == NULL) fail("calloc");
    make_ring();
    const int listener = listen_and_print_port(0);
    accept_from(listener);
    for (;;) {
        const int done = io_uring_submit_and_wait(&ring, 1);
        if (done < 0 && done != -EINTR) {
            errno = -done;
            fail("io_uring_submit_and_wait");
        }
        unsigned head;
        unsigned seen = 0;
        struct io_uring_cqe* entry;
        io_uring_for_each_cqe(&ring, head, entry) {
            dispatch(entry, listener);
            ++seen;
        }
        io_uring_cq_advance(&ring, seen);
    }
}
