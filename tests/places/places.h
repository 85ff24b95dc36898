#pragma once
// The places in which a program can use what belongs to an event loop, and how that ends there.
//
// Every use runs in a process of its own, so a crash, a call of terminate, or a use that never
// comes back is the end of that one use, and says which it was.

#include <asyncio.h>

#include "support/detached.h"

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace places {

/// Where something is used. It was made in a task of a first loop, and was in use there.
enum class Place : std::uint8_t {
    no_loop,     ///< No loop runs on the thread. The first one is open.
    other_loop,  ///< In a task of a second loop. The first one is open.
    closed,      ///< In a task of a second loop. The first one is closed.
    gone,        ///< In a task of a second loop. The first one is destroyed.
    callback,    ///< In a callback of the first loop, so not in a task.
};
inline constexpr std::array every_place{Place::no_loop, Place::other_loop, Place::closed,
                                        Place::gone, Place::callback};

inline const char* name_of(Place place) {
    switch (place) {
        case Place::no_loop: return "no loop";
        case Place::other_loop: return "another loop";
        case Place::closed: return "its loop is closed";
        case Place::gone: return "its loop is gone";
        case Place::callback: return "a callback";
    }
    return "";
}

/// One use of one entry.
using Use = std::function<asyncio::Coro<>()>;

/// How a use is to end.
struct End {
    enum class Kind : std::uint8_t { works, refused, throws, not_asked } kind;
    const char* text = "";
};
/// It does what it does everywhere.
inline constexpr End works{End::Kind::works};
/// RuntimeError that names the entry.
inline constexpr End refused{End::Kind::refused};
/// Nobody can come to this place with it.
inline constexpr End not_asked{End::Kind::not_asked};
/// RuntimeError that names something else.
constexpr End refused_as(const char* name) { return {End::Kind::refused, name}; }
/// An error that has nothing to do with the place.
constexpr End throws(const char* text) { return {End::Kind::throws, text}; }

/// An entry of the table: what is used, how, and how that ends in the places, in their order.
struct Row {
    const char* entry;
    /// Runs in a task of the first loop.
    std::function<asyncio::Coro<Use>()> prepare;
    std::array<End, every_place.size()> ends;
};

/// For a function that needs nothing but a loop: the second loop serves it as well as the first.
/// `no_loop` and `callback` are the places that matter, and, for a few, a task.
template <class Function>
Row function(const char* entry, Function use, End no_loop, End callback, End task = works) {
    const auto prepare = [use]() -> asyncio::Coro<Use> { co_return Use(use); };
    return {entry, prepare, {no_loop, task, task, task, callback}};
}

/// For a thing that `make` makes in a task, and `use` takes by reference.
template <class Make, class Function>
Row thing(const char* entry, Make make, Function use, std::array<End, every_place.size()> ends) {
    const auto prepare = [make, use]() -> asyncio::Coro<Use> {
        auto made = co_await make();
        Use bound = [made, use] { return use(*made); };
        co_return bound;
    };
    return {entry, prepare, ends};
}

/// What the function that makes a thing returns.
template <class Thing>
using Made = asyncio::Coro<std::shared_ptr<Thing>>;

/// For a use that is a statement, and waits for nothing.
template <class Thing, class Function>
auto call(Function function) {
    return [function](Thing& thing) -> asyncio::Coro<> {
        function(thing);
        co_return;
    };
}

/// Uses the row's entry in `place`, in a process of its own. Returns "works", "refused: …" for a
/// RuntimeError, "threw: …" for any other error, or how the process ended.
std::string use_in(const Row& row, Place place);

/// Whether that is what the table says.
bool is_as_expected(const std::string& end, const Row& row, End expected);

/// Uses every entry in every place of which its row says something.
void expect_in_table(const std::vector<Row>& table);

}  // namespace places
