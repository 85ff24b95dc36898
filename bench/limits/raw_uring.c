// `raw_uring`: the least that an echo server on io_uring can do. It is a limit to measure others by.
//
//   raw_uring [multishot|plain] [BUFFER_BYTES]
//
// One thread and one ring, which only this thread uses. The kernel works for the ring when the
// thread waits (DEFER_TASKRUN), so it never interrupts. One system call hands over all requests and
// takes all results. Connections exist in the ring's table only, so no request looks up or counts a
// descriptor of the process.
//
// - `multishot` (the default): one request receives for the whole life of a connection. The kernel
//   takes a buffer for each receive from a ring of buffers, all connections share the buffers, and
//   the server sends from the same buffer. So a message costs one request and two results.
// - `plain`: each connection has a buffer. A send and the next receive are linked, so the kernel
//   begins to wait for the next message when the send has ended. A message costs two requests and
//   one result. A successful send leaves no result.
//
// BUFFER_BYTES (default 16384) is the size of a buffer. A longer message comes in parts. There are
// 128 shared buffers, used in turn. More of them leave the cache between two uses, and with fewer a
// receive often finds none and must be requested again: both were slower. A client that sends much
// and receives nothing keeps them all, and no other client is served then. So this form is a limit
// to measure by, and not a server.

#define _GNU_SOURCE
#include "listener.h"

#include <errno.h>
#include <liburing.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>

enum { requests = 4096, results = 16384, buffers = 128, cache_line = 64 };
enum operation { accepted, received, sent, closed };

struct connection {
    char* own_buffer;     // `plain` only
    int16_t first, last;  // the buffers that wait to be sent, the first of them in flight
    bool ended;
};

static struct io_uring ring;
// The kernel demands a page for it.
static _Alignas(4096) struct io_uring_buf buffer_entries[buffers];
static struct io_uring_buf_ring* const buffer_ring = (struct io_uring_buf_ring*)buffer_entries;
static char* buffer_memory;
static size_t buffer_size = 16 * 1024;
static size_t buffer_distance;
static struct connection* connections;
static int16_t next_buffer[buffers];
static uint32_t size_in_buffer[buffers];
static bool multishot = true;

// Returns `count` requests to fill in, one after another in one submission: a link ends where a
// submission ends.
static struct io_uring_sqe* requests_in_one(unsigned count) {
    if (io_uring_sq_space_left(&ring) < count) io_uring_submit(&ring);
    struct io_uring_sqe* entry = io_uring_get_sqe(&ring);
    if (entry == NULL) fail("io_uring_get_sqe");
    return entry;
}

static struct io_uring_sqe* request(void) { return requests_in_one(1); }

// liburing's functions clear what is set here, so they must have filled in the request before.
static void identify(struct io_uring_sqe* entry, enum operation operation, uint32_t slot,
                     uint32_t buffer) {
    entry->user_data = (uint64_t)operation << 56 | (uint64_t)buffer << 32 | slot;
}

static void accept_from(int listener) {
    struct io_uring_sqe* entry = request();
    io_uring_prep_multishot_accept_direct(entry, listener, NULL, NULL, 0);
    identify(entry, accepted, 0, 0);
}

static void receive(uint32_t slot) {
    struct io_uring_sqe* entry = request();
    if (multishot) {
        io_uring_prep_recv_multishot(entry, (int)slot, NULL, 0, 0);
        entry->flags |= IOSQE_BUFFER_SELECT;
    } else {
        io_uring_prep_recv(entry, (int)slot, connections[slot].own_buffer, buffer_size, 0);
    }
    // The bytes have not come yet, so a first attempt to receive would be in vain.
    entry->ioprio |= IORING_RECVSEND_POLL_FIRST;
    entry->flags |= IOSQE_FIXED_FILE;
    identify(entry, received, slot, 0);
}

static void send_buffer(uint32_t slot, uint32_t buffer, const char* bytes, size_t size) {
    struct io_uring_sqe* entry = request();
    io_uring_prep_send(entry, (int)slot, bytes, size, MSG_NOSIGNAL | MSG_WAITALL);
    entry->flags |= IOSQE_FIXED_FILE;
    identify(entry, sent, slot, buffer);
}

static void send_and_receive(uint32_t slot, size_t size) {
    struct io_uring_sqe* entry = requests_in_one(2);
    const char* bytes = connections[slot].own_buffer;
    io_uring_prep_send(entry, (int)slot, bytes, size, MSG_NOSIGNAL | MSG_WAITALL);
    entry->flags |= IOSQE_FIXED_FILE | IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
    identify(entry, sent, slot, 0);
    receive(slot);
}

static void close_slot(uint32_t slot) {
    free(connections[slot].own_buffer);
    connections[slot].own_buffer = NULL;
    struct io_uring_sqe* entry = request();
    io_uring_prep_close_direct(entry, slot);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    identify(entry, closed, slot, 0);
}

static char* buffer_at(uint32_t buffer) { return buffer_memory + buffer * buffer_distance; }

static void give_back(uint32_t buffer) {
    io_uring_buf_ring_add(buffer_ring, buffer_at(buffer), (unsigned)buffer_size,
                          (unsigned short)buffer, io_uring_buf_ring_mask(buffers), 0);
    io_uring_buf_ring_advance(buffer_ring, 1);
}

static void make_buffers(void) {
    // Buffers at distances of a power of two would compete for few sets of the cache.
    buffer_distance = buffer_size + cache_line;
    buffer_memory = malloc(buffers * buffer_distance);
    if (buffer_memory == NULL) fail("malloc");
    struct io_uring_buf_reg place = {
        .ring_addr = (uint64_t)(uintptr_t)buffer_ring, .ring_entries = buffers, .bgid = 0};
    io_uring_buf_ring_init(buffer_ring);
    if (io_uring_register_buf_ring(&ring, &place, 0) != 0) fail("io_uring_register_buf_ring");
    for (uint32_t i = 0; i < buffers; ++i) give_back(i);
}

static void on_accepted(int result, unsigned flags, int listener) {
    if (result >= 0) {
        struct connection* connection = &connections[result];
        *connection = (struct connection){NULL, -1, -1, false};
        if (!multishot) connection->own_buffer = malloc(buffer_size);
        if (!multishot && connection->own_buffer == NULL) fail("malloc");
        receive((uint32_t)result);
    }
    if ((flags & IORING_CQE_F_MORE) == 0) accept_from(listener);
}

static void send_first(uint32_t slot) {
    const int16_t first = connections[slot].first;
    send_buffer(slot, (uint32_t)first, buffer_at((uint32_t)first), size_in_buffer[first]);
}

// Sends of one connection follow each other: two at once could change places.
static void on_received_multishot(uint32_t slot, int result, unsigned flags) {
    struct connection* connection = &connections[slot];
    if (result > 0) {
        const int16_t buffer = (int16_t)(flags >> IORING_CQE_BUFFER_SHIFT);
        size_in_buffer[buffer] = (uint32_t)result;
        next_buffer[buffer] = -1;
        if (connection->first < 0) {
            connection->first = connection->last = buffer;
            send_first(slot);
        } else {
            next_buffer[connection->last] = buffer;
            connection->last = buffer;
        }
    }
    if ((flags & IORING_CQE_F_MORE) != 0) return;
    if (result > 0 || result == -ENOBUFS) {
        receive(slot);
    } else {
        connection->ended = true;
        if (connection->first < 0) close_slot(slot);
    }
}

// After a failed send the receive ends too, so nothing more is to do here.
static void on_sent_multishot(uint32_t slot, uint32_t buffer) {
    struct connection* connection = &connections[slot];
    connection->first = next_buffer[buffer];
    give_back(buffer);
    if (connection->first >= 0) {
        send_first(slot);
    } else if (connection->ended) {
        close_slot(slot);
    }
}

// After a failed send the linked receive ends with ECANCELED.
static void on_received_plain(uint32_t slot, int result) {
    if (result > 0) {
        send_and_receive(slot, (size_t)result);
    } else {
        close_slot(slot);
    }
}

static void dispatch(const struct io_uring_cqe* entry, int listener) {
    const uint32_t slot = (uint32_t)entry->user_data;
    const uint32_t buffer = (uint32_t)(entry->user_data >> 32) & 0xffffff;
    switch ((enum operation)(entry->user_data >> 56)) {
        case accepted: on_accepted(entry->res, entry->flags, listener); break;
        case received:
            if (multishot) {
                on_received_multishot(slot, entry->res, entry->flags);
            } else {
                on_received_plain(slot, entry->res);
            }
            break;
        case sent:
            if (multishot) on_sent_multishot(slot, buffer);
            break;
        case closed: break;
    }
}

static void make_ring(void) {
    struct io_uring_params parameters = {.cq_entries = results};
    parameters.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER |
                       IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL;
    errno = -io_uring_queue_init_params(requests, &ring, &parameters);
    if (errno != 0) fail("io_uring_queue_init_params");
    if (io_uring_register_ring_fd(&ring) != 1) fail("io_uring_register_ring_fd");
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) fail("getrlimit");
    const unsigned slots = limit.rlim_cur < 32768 ? (unsigned)limit.rlim_cur : 32768;
    errno = -io_uring_register_files_sparse(&ring, slots);
    if (errno != 0) fail("io_uring_register_files_sparse");
    connections = calloc(slots, sizeof *connections);
    if (connections == NULL) fail("calloc");
}

int main(int count, char** arguments) {
    if (count > 1) multishot = strcmp(arguments[1], "plain") != 0;
    if (count > 2) buffer_size = strtoul(arguments[2], NULL, 10);
    make_ring();
    if (multishot) make_buffers();
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
