#pragma once
// The listening socket of the raw servers.
//
// Both servers begin alike: they listen on a free port of 127.0.0.1 and print its number as their
// first line. The measuring script reads this line. The servers have no end of their own: SIGTERM
// ends them.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static inline void fail(const char* operation) {
    perror(operation);
    exit(EXIT_FAILURE);
}

// Returns a listening socket. `flags` are SOCK_NONBLOCK or nothing.
static inline int listen_and_print_port(int flags) {
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (listener < 0) fail("socket");
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(listener, (struct sockaddr*)&address, size) != 0) fail("bind");
    if (listen(listener, SOMAXCONN) != 0) fail("listen");
    if (getsockname(listener, (struct sockaddr*)&address, &size) != 0) fail("getsockname");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}
