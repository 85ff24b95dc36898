#pragma once
// What is on its way in the simulated world: bytes of a connection, datagrams, answers.
//
// The schedule of in_flight.h has the operations of the program. This one has what the network does
// meanwhile, whether the program waits for it or not. The world looks at both when it moves its
// clock.
//
// A parcel arrives when its time has come: the world calls `arrive`, one parcel after the other and
// never from inside another call. So a parcel that answers with another parcel does not recurse,
// and an object that sends finds itself unchanged when the call returns. Parcels that arrive at the
// same time arrive in the order in which they were sent.
//
// Memory. A parcel is sent in two steps. `post` allocates everything, and may fail. `send` puts the
// result on its way and cannot fail. So an object can keep a posted parcel in reserve for a moment
// at which it must not fail, and a parcel that was lost can be sent again.
//
// Thread-safety: none. The deliveries belong to one world.

#include <asyncio/internal/base/time.h>

#include <map>
#include <memory>
#include <utility>

namespace asyncio::lowlevel::simulated {

class Parcel;
struct Surroundings;

using Journeys = std::multimap<TimePoint, std::unique_ptr<Parcel>>;
/// A parcel, with the memory for its journey.
using Post = Journeys::node_type;

class Parcel {
public:
    Parcel() = default;
    Parcel(const Parcel&) = delete;
    Parcel& operator=(const Parcel&) = delete;
    virtual ~Parcel() = default;

    /// The parcel is there. `self` is the parcel with its memory: it may be sent again.
    virtual void arrive(Post self, Surroundings& around) noexcept = 0;
};

/// Throws: `std::bad_alloc`.
template <class Kind, class... Arguments>
Post post(Arguments&&... arguments) {
    Journeys nothing;
    return nothing.extract(nothing.emplace(
        TimePoint{}, std::make_unique<Kind>(std::forward<Arguments>(arguments)...)));
}

/// The parcels on their way, by the time of their arrival.
class Deliveries {
public:
    void send(Post parcel, TimePoint arrival) noexcept {
        parcel.key() = arrival;
        journeys_.insert(std::move(parcel));
    }

    /// The time of the next arrival; `never` if nothing is on its way.
    TimePoint next_arrival() const noexcept {
        return journeys_.empty() ? internal::never : journeys_.begin()->first;
    }

    bool empty() const noexcept { return journeys_.empty(); }

    /// The next parcel whose time has come; empty if there is none.
    Post take_due(TimePoint now) noexcept {
        return next_arrival() <= now && !empty() ? journeys_.extract(journeys_.begin()) : Post();
    }

private:
    Journeys journeys_;
};

}  // namespace asyncio::lowlevel::simulated
