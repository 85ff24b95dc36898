// Goal: an endpoint for datagrams, and the loop's functions for sockets and descriptors, work
// wherever they are used, or throw an error that says why not.
// Method: as in things_test.cpp.

#include <asyncio.h>

#include "places/places.h"

#include <memory>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using namespace asyncio;
using places::call;
using places::Made;
using places::not_asked;
using places::refused;
using places::thing;
using places::throws;
using places::works;

/// An endpoint that has received once.
Made<Datagram> endpoint() {
    auto made =
        std::make_shared<Datagram>(co_await open_datagram({.local_addr = Address::loopback_v4(0)}));
    co_await made->send("x", made->local());
    co_await made->receive();
    co_return made;
}

Address somewhere() { return Address::loopback_v4(9); }

/// A loop and a socket of it.
struct LoopAndSocket {
    EventLoop* loop;
    Socket socket;
};
Made<LoopAndSocket> loop_and_socket() {
    co_return std::make_shared<LoopAndSocket>(
        LoopAndSocket{&get_running_loop(), Socket(AF_INET, SOCK_DGRAM)});
}

// clang-format off
//                       no loop     another     closed      gone        callback
const std::vector<places::Row> datagrams{
    thing("Datagram::receive()", endpoint, [](Datagram& it) -> Coro<> { co_await it.receive(); },
                        {refused,    refused,    throws("receive at"), throws("receive at"),
                                                                         refused}),
    thing("Datagram::receive_many()", endpoint,
          [](Datagram& it) -> Coro<> { co_await it.receive_many(2); },
                        {refused,    refused,    throws("receive at"), throws("receive at"),
                                                                         refused}),
    thing("Datagram::send()", endpoint,
          [](Datagram& it) -> Coro<> { co_await it.send("x", somewhere()); },
                        {refused,    refused,    throws("send a datagram"),
                                                 throws("send a datagram"), refused}),
    thing("Datagram::send_many()", endpoint, [](Datagram& it) -> Coro<> {
              const std::vector<std::string> texts(2, "x");
              co_await it.send_many(texts, somewhere());
          },            {refused,    refused,    throws("send a datagram"),
                                                 throws("send a datagram"), refused}),
    thing("Datagram::send_nowait()", endpoint,
          call<Datagram>([](Datagram& it) { it.send_nowait("x", somewhere()); }),
                        {works,      works,      works,      works,      works}),
    thing("Datagram::drain()", endpoint, [](Datagram& it) -> Coro<> { co_await it.drain(); },
                        {works,      works,      works,      works,      works}),
    thing("Datagram::wait_closed()", endpoint,
          [](Datagram& it) -> Coro<> { co_await it.wait_closed(); },
                        {refused,    refused,    works,      works,      refused}),
    thing("Datagram::aclose()", endpoint, [](Datagram& it) -> Coro<> { co_await it.aclose(); },
                        {works,      works,      works,      works,      works}),
    thing("Datagram, what it is asked", endpoint, call<Datagram>([](Datagram& it) {
              static_cast<void>(it.local());
              static_cast<void>(it.peer());
              static_cast<void>(it.fd());
              it.get_write_buffer_size();
              static_cast<void>(it.is_closing());
              it.close();
              it.abort();
          }),           {works,      works,      works,      works,      works}),
};

const std::vector<places::Row> functions_of_loops{
    thing("EventLoop::add_reader()", loop_and_socket, call<LoopAndSocket>([](LoopAndSocket& it) {
              it.loop->add_reader(it.socket.fileno(), [] {});
              it.loop->remove_reader(it.socket.fileno());
          }),           {works,      works,      refused,    not_asked,  works}),
    thing("EventLoop::add_writer()", loop_and_socket, call<LoopAndSocket>([](LoopAndSocket& it) {
              it.loop->add_writer(it.socket.fileno(), [] {});
              it.loop->remove_writer(it.socket.fileno());
          }),           {works,      works,      refused,    not_asked,  works}),
    thing("EventLoop::remove_reader()", loop_and_socket,
          call<LoopAndSocket>([](LoopAndSocket& it) { it.loop->remove_reader(1); }),
                        {works,      works,      works,      not_asked,  works}),
    thing("EventLoop::sock_sendto()", loop_and_socket, [](LoopAndSocket& it) -> Coro<> {
              co_await it.loop->sock_sendto(it.socket, "x", somewhere());
          },            {refused,    refused,    refused,    not_asked,  refused}),
    thing("EventLoop::sock_connect()", loop_and_socket, [](LoopAndSocket& it) -> Coro<> {
              co_await it.loop->sock_connect(it.socket, "127.0.0.1", 9);
          },            {refused,    refused,    refused,    not_asked,  refused}),
    thing("EventLoop::connect_accepted_socket()", loop_and_socket,
          call<LoopAndSocket>([](LoopAndSocket& it) {
              it.loop->connect_accepted_socket(std::move(it.socket));
          }),           {refused,    refused,    refused,    not_asked, works}),
    thing("EventLoop::create_datagram_endpoint()", loop_and_socket,
          [](LoopAndSocket& it) -> Coro<> {
              const DatagramOptions options{.family = AF_INET};
              co_await it.loop->create_datagram_endpoint(std::make_shared<DatagramProtocol>(),
                                                         options);
          },            {refused,    refused,    refused,    not_asked,  refused}),
};
// clang-format on

TEST(places, datagrams) { places::expect_in_table(datagrams); }

TEST(places, functions_of_loops) { places::expect_in_table(functions_of_loops); }

}  // namespace
