// `raw_epoll`: the least that an echo server on epoll can do. It is a limit to measure others by.
//
//   raw_epoll [edge|level]
//
// One thread, no timers, no logs, no names. For each event the server receives into one buffer,
// which all connections share and which stays in the cache, and sends from this buffer. So a
// message costs two system calls, and its part of an `epoll_wait` that reports many connections.
//
// With edges (the default) the kernel does not look again at each connection that it has reported.
// A receive that does not fill the buffer has emptied the socket, so no second receive is needed to
// learn it: later bytes, and the end of the stream, are a new edge. An end of the stream that came
// together with the bytes is marked EPOLLRDHUP in their event. With levels the code needs no such
// rule, but the kernel looks twice. Both are here, so that a measurement can take the cheaper one.
//
// The only state of a connection is the part of a message that the kernel did not take. A client
// that waits for each echo never causes it.

#define _GNU_SOURCE
#include "listener.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

enum { events_at_once = 512, buffer_size = 64 * 1024 };

// The bytes that a connection must send before it receives more.
struct rest {
    char* bytes;
    size_t size;
};

static int poller;
static uint32_t trigger = EPOLLET;
static char buffer[buffer_size];
static struct rest* rests;  // by descriptor
static size_t descriptors;

static void watch(int descriptor, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = descriptor};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) != 0) fail("epoll_ctl");
}

static void watch_for(int descriptor, uint32_t events) {
    struct epoll_event event = {.events = events | EPOLLRDHUP | trigger, .data.fd = descriptor};
    if (epoll_ctl(poller, EPOLL_CTL_MOD, descriptor, &event) != 0) fail("epoll_ctl");
}

// Accepts all connections that wait. Without a free descriptor they wait for the next connection.
static void accept_all(int listener) {
    for (;;) {
        const int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0) return;
        if ((size_t)descriptor >= descriptors) {
            close(descriptor);
            continue;
        }
        watch(descriptor, EPOLLIN | EPOLLRDHUP | trigger);
    }
}

static void end(int descriptor) {
    free(rests[descriptor].bytes);
    rests[descriptor] = (struct rest){NULL, 0};
    close(descriptor);
}

static void keep(int descriptor, const char* bytes, size_t size) {
    rests[descriptor] = (struct rest){malloc(size), size};
    if (rests[descriptor].bytes == NULL) fail("malloc");
    memcpy(rests[descriptor].bytes, bytes, size);
    watch_for(descriptor, EPOLLOUT);
}

// Returns whether the connection has nothing left to send.
static bool send_rest(int descriptor) {
    struct rest* rest = &rests[descriptor];
    const ssize_t sent = send(descriptor, rest->bytes, rest->size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return false;
    if (sent < 0) {
        end(descriptor);
        return false;
    }
    rest->size -= (size_t)sent;
    memmove(rest->bytes, rest->bytes + sent, rest->size);
    if (rest->size > 0) return false;
    free(rest->bytes);
    rest->bytes = NULL;
    watch_for(descriptor, EPOLLIN);
    return true;
}

static void echo(int descriptor, uint32_t events) {
    if (rests[descriptor].size > 0 && !send_rest(descriptor)) return;
    for (;;) {
        const ssize_t got = recv(descriptor, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) {
            end(descriptor);
            return;
        }
        ssize_t sent = send(descriptor, buffer, (size_t)got, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) sent = 0;
        if (sent < 0) {
            end(descriptor);
            return;
        }
        if (sent < got) {
            keep(descriptor, buffer + sent, (size_t)(got - sent));
            return;
        }
        if ((size_t)got < sizeof buffer && (events & EPOLLRDHUP) == 0) return;
    }
}

int main(int count, char** arguments) {
    if (count > 1 && strcmp(arguments[1], "level") == 0) trigger = 0;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) fail("getrlimit");
    descriptors = limit.rlim_cur;
    rests = calloc(descriptors, sizeof *rests);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (rests == NULL || poller < 0) fail("epoll_create1");
    const int listener = listen_and_print_port(SOCK_NONBLOCK);
    watch(listener, EPOLLIN | EPOLLET);
    for (;;) {
        struct epoll_event events[events_at_once];
        const int ready = epoll_wait(poller, events, events_at_once, -1);
        if (ready < 0 && errno != EINTR) fail("epoll_wait");
        for (int i = 0; i < ready; ++i) {
            if (events[i].data.fd == listener) {
                accept_all(listener);
            } else {
                echo(events[i].data.fd, events[i].events);
            }
        }
    }
}
