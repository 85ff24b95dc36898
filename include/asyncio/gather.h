#pragma once
// `gather`: running several awaitables together and collecting what they return.
//
// A gather is a future, not a coroutine. Coroutines that are given to it become tasks at once,
// tasks and futures are watched as they are, and the future of the gather is done when the last
// part has reported. So `gather(…)` starts its parts even if the program never awaits it, as in
// Python, and it costs one object and one array of nodes instead of a task of its own.
//
// How a part reports. The gather watches the future of each part (`internal::FutureWatch`). One
// iteration after a part is done, the node of the gather runs, as that of every waiter does, and
// the gather counts down. At the last report it collects the results in the order of the arguments.
// A gather of things that are all done is therefore itself done one iteration later; a gather of
// nothing is done at once.
//
// Ownership. Until the last part has reported, the gather holds a reference to itself, and with it
// the handles of the parts. The program need not keep either. A part that is never set would keep
// the gather alive for ever, so the gather also stands in the loop's list of listeners (`AtClose`).
// When the loop closes, the gather stops watching and drops the reference.
//
// The first error. `gather` ends with the first error of a part, at once, and the other parts
// continue. This is Python's rule, and programs depend on it: a part may be awaited elsewhere, too.
// A program that wants the other parts to stop uses `task_group`. An error that comes after the
// first one has no receiver; in debug mode it is logged. With `gather_settled` an error is a result
// like any other, and no part ends the gather early.
//
// Cancellation. A request to cancel the gather is handed on to every part that is not done. The
// request counts only if a part accepts it: a gather whose parts have all ended keeps its results.
// From then on the gather ends when all parts have ended, and not before. Python's may end while
// its parts still clean up, so that they run on without an owner. Here a cancelled gather has no
// part left running when its waiter resumes. The price is that the cancellation takes as long as
// the slowest cleanup. While the gather waits like that, an error of a part outranks the
// CancelledErrors that the gather itself caused.
//
// The walk from part to part is not a recursion. A gather may contain gathers, to any depth, so it
// is a `CancelRelay`: it gives the walk its next part when it is asked
// (`internal/core/cancel_walk.h`).
//
// Thread-safety: loop thread only.

#include <asyncio/internal/core/future_watch.h>
#include <asyncio/internal/core/handles.h>
#include <asyncio/task.h>

#include <optional>
#include <ranges>
#include <tuple>
#include <type_traits>
#include <vector>

namespace asyncio {
namespace internal {

/// The part that does not depend on the types: counts the parts that have ended, and decides what
/// their ends mean for the gather.
///
/// The class has no template parameter, so its code exists once in the library and not once for
/// each combination of result types.
class GatherBase : AtClose, public CancelRelay, FutureWatch<GatherBase> {
public:
    /// For the walk of a cancellation, and for the await tree: the parts, one after the other.
    FutureBase* awaited(std::size_t index) const noexcept final {
        return index < watched_count() ? watched(index) : nullptr;
    }

protected:
    explicit GatherBase(std::size_t count) : FutureWatch(count), unfinished_(count) {
        AtClose::run = &loop_closes;
    }
    virtual ~GatherBase() = default;

    /// Takes the gather's own reference to itself. `future_ended` of the last part drops it, or
    /// `loop_closes`.
    void keep_until_reported() noexcept;
    /// The handles of the derived class keep the parts' futures alive.
    using FutureWatch::watch;

    /// The future of the gather itself: the other base of the derived object.
    virtual FutureBase& outer() noexcept = 0;
    /// Takes the results of all parts and completes the future. Throws what the copy of a value
    /// throws.
    virtual void collect() = 0;
    virtual void set_error(std::exception_ptr error) = 0;

    /// The errors of parts are results (`gather_settled`).
    bool errors_are_results_ = false;

private:
    friend FutureWatch;

    /// Runs one iteration after the part is done.
    void future_ended(std::size_t index, FutureBase& child) noexcept;
    static void loop_closes(AtClose& listener) noexcept;
    /// For the walk, as `CancelRelay` describes them: begin with the first part, continue with the
    /// next one, say whether any part has accepted the request.
    FutureBase* receive(std::string_view message) noexcept final;
    FutureBase* answered(bool will_end, std::string_view message) noexcept final;
    bool answer() noexcept final { return any_will_end_; }
    /// A part has ended with an error or as cancelled.
    void child_failed(FutureBase& child);
    /// The last part has reported.
    void conclude();

    std::size_t unfinished_;
    /// The gather was cancelled, and at least one part has accepted the request. The gather ends
    /// when every part has: with an error of a part, else as cancelled.
    bool cancel_requested_ = false;
    /// While a request is handed on: the number of the part that is asked, and whether a part has
    /// accepted the request so far.
    std::size_t asked_ = 0;
    bool any_will_end_ = false;
    /// The error with which the gather ends, or has ended.
    std::exception_ptr first_error_;
};

/// The type of one result in a tuple or vector. `void` becomes `None`, so that positions never
/// shift.
template <class T>
using Element = std::conditional_t<std::is_void_v<T>, None, T>;

/// The value of a part that is done: moved out if no other handle of the part is left, or if the
/// type cannot be copied. Throws: the error of the part.
template <class Handle>
Element<typename Handle::value_type> take_value_of(Handle& handle) {
    if constexpr (std::is_void_v<typename Handle::value_type>) {
        handle.state()->hand_over().value();
        return None{};
    } else {
        return handle.state()->hand_over().value();
    }
}

/// The parts of `gather(f(), g())`: a tuple of handles, and a tuple of values as the result. If no
/// part returns a value, the result is `void`: there is nothing to look at, and the tuple would
/// only cause a warning.
template <class... Handles>
struct TupleParts {
    using Values = std::conditional_t<(std::is_void_v<typename Handles::value_type> && ...), void,
                                      std::tuple<Element<typename Handles::value_type>...>>;
    using Outcomes = std::tuple<Outcome<typename Handles::value_type>...>;

    std::tuple<Handles...> handles;

    std::size_t count() const noexcept { return sizeof...(Handles); }

    template <class Visit>
    void visit(Visit&& visit) {
        std::size_t index = 0;
        std::apply([&](Handles&... handle) { (visit(index++, *handle.state()), ...); }, handles);
    }
    void collect(Outcome<Values>& outcome) {
        if constexpr (std::is_void_v<Values>) {
            outcome.emplace();
        } else {
            std::apply(
                [&](Handles&... handle) { outcome.emplace(Values{take_value_of(handle)...}); },
                handles);
        }
    }
    void collect_settled(Outcome<Outcomes>& outcome) {
        std::apply(
            [&](Handles&... handle) { outcome.emplace(Outcomes{handle.state()->hand_over()...}); },
            handles);
    }
};

/// The parts of `gather(range)`: a vector of handles, and a vector of values as the result.
template <class Handle>
struct VectorParts {
    using T = typename Handle::value_type;
    using Values = std::conditional_t<std::is_void_v<T>, void, std::vector<Element<T>>>;
    using Outcomes = std::vector<Outcome<T>>;

    std::vector<Handle> handles;

    std::size_t count() const noexcept { return handles.size(); }
    template <class Visit>
    void visit(Visit&& visit) {
        for (std::size_t index = 0; index < handles.size(); ++index)
            visit(index, *handles[index].state());
    }
    void collect(Outcome<Values>& outcome) {
        if constexpr (std::is_void_v<Values>) {
            outcome.emplace();
        } else {
            Values values;
            values.reserve(handles.size());
            for (Handle& handle : handles) values.push_back(take_value_of(handle));
            outcome.emplace(std::move(values));
        }
    }
    void collect_settled(Outcome<Outcomes>& outcome) {
        Outcomes outcomes;
        outcomes.reserve(handles.size());
        for (Handle& handle : handles) outcomes.push_back(handle.state()->hand_over());
        outcome.emplace(std::move(outcomes));
    }
};

template <class Parts, bool settled>
/// The whole gather: the future of the results, the counting, and the handles of the parts.
/// `settled` is true for `gather_settled`.
class GatherState final
    : public FutureState<
          std::conditional_t<settled, typename Parts::Outcomes, typename Parts::Values>>,
      public GatherBase {
    using Result = std::conditional_t<settled, typename Parts::Outcomes, typename Parts::Values>;

public:
    GatherState(EventLoop& loop, Parts parts)
        : FutureState<Result>(loop), GatherBase(parts.count()), children_(std::move(parts)) {
        errors_are_results_ = settled;
        // No part would ever report, so the result is set here.
        if (children_.count() == 0) {
            collect();
            return;
        }
        keep_until_reported();
        children_.visit([this](std::size_t index, FutureBase& future) { watch(index, future); });
    }

    /// Hands the request on to the parts. A plain future would end here; the gather ends when its
    /// parts have.
    bool cancel(std::string_view message) override {
        // A gather that is done only answers, which needs no loop.
        if (!this->done()) this->require_loop("cancel");
        return CancelWalk(message).ask(*this);
    }
    CancelRelay* relay() noexcept override { return this; }

private:
    FutureBase& outer() noexcept override { return *this; }
    void set_error(std::exception_ptr error) override {
        this->set(Outcome<Result>::failure(std::move(error)));
    }
    void collect() override {
        Outcome<Result> result;
        if constexpr (settled) {
            children_.collect_settled(result);
        } else {
            children_.collect(result);
        }
        this->set(std::move(result));
    }

    Parts children_;
};

template <bool settled, class Parts>
auto start_gather(EventLoop& loop, Parts parts) {
    using State = GatherState<Parts, settled>;
    using Result = std::conditional_t<settled, typename Parts::Outcomes, typename Parts::Values>;
    return Future<Result>(Ref<FutureState<Result>>::adopt(new State(loop, std::move(parts))));
}

template <class Range>
concept AwaitableRange = std::ranges::input_range<Range> && !Awaitable<Range> &&
                         Awaitable<std::ranges::range_value_t<Range>>;

}  // namespace internal

namespace no_adl {

/// Runs awaitables together, and gives all their results. Coroutines become tasks at once, in
/// argument order. Tasks and futures are watched as they are. While no loop runs, new tasks go to
/// the thread's current loop (see `set_event_loop`).
///
/// Returns a future of all results in argument order: a tuple, with `None` for a part without a
/// value. If no part has a value, the future has none. The await throws the first error of a part,
/// at once; **the other parts go on**. Use `task_group` if they should stop.
/// Throws: RuntimeError if no loop runs and the thread has no current loop; `std::invalid_argument`
/// for a future of another loop.
/// Cancellation: cancelling the gather cancels every part that has not ended. The gather ends when
/// all parts have ended (Python's may end before). If all parts have ended already, or the gather
/// has failed, `cancel` returns false and nothing changes.
/// Python: `asyncio.gather(*aws)`.
template <class... Given>
    requires(internal::Awaitable<Given> && ...)
auto gather(Given&&... awaitables) {
    EventLoop& loop = internal::running_or_current_loop("asyncio::gather()");
    using Parts = internal::TupleParts<internal::HandleOf<Given>...>;
    // Braces, not parentheses: they fix the order in which the tasks are created.
    return internal::start_gather<false>(
        loop, Parts{std::tuple<internal::HandleOf<Given>...>{
                  internal::ensure_future_on(loop, std::forward<Given>(awaitables))...}});
}

/// Refuses a coroutine that is passed by name: the caller would keep it, and a `Coro` is awaited
/// once.
template <class... Given>
    requires(internal::is_lvalue_coro<Given&> || ...)
void gather(Given&...) = delete;  // a Coro can be awaited only once: pass it with std::move

/// The same for a range, `gather(std::move(coroutines))`. The future holds a vector of results, or
/// no value if the parts have none.
template <internal::AwaitableRange Range>
auto gather(Range&& awaitables) {
    EventLoop& loop = internal::running_or_current_loop("asyncio::gather()");
    auto handles = internal::handles_of(std::forward<Range>(awaitables));
    return internal::start_gather<false>(
        loop, internal::VectorParts<typename decltype(handles)::value_type>{std::move(handles)});
}

/// As `gather`, but an error of a part is a result: the future holds an `Outcome` for each part.
/// Cancellation: as `gather`. A cancellation of the gather itself is thrown at the await; a
/// cancellation of one part is collected like an error.
/// Python: `asyncio.gather(*aws, return_exceptions=True)`.
template <class... Given>
    requires(internal::Awaitable<Given> && ...)
auto gather_settled(Given&&... awaitables) {
    EventLoop& loop = internal::running_or_current_loop("asyncio::gather_settled()");
    using Parts = internal::TupleParts<internal::HandleOf<Given>...>;
    return internal::start_gather<true>(
        loop, Parts{std::tuple<internal::HandleOf<Given>...>{
                  internal::ensure_future_on(loop, std::forward<Given>(awaitables))...}});
}

/// The same for a range. The future holds a vector of outcomes.
template <internal::AwaitableRange Range>
auto gather_settled(Range&& awaitables) {
    EventLoop& loop = internal::running_or_current_loop("asyncio::gather_settled()");
    auto handles = internal::handles_of(std::forward<Range>(awaitables));
    return internal::start_gather<true>(
        loop, internal::VectorParts<typename decltype(handles)::value_type>{std::move(handles)});
}

}  // namespace no_adl
using namespace no_adl;

}  // namespace asyncio
