#include "simulation/storm.h"

#include <algorithm>

#include <poll.h>

namespace simulation {

using namespace std::chrono_literals;

Storm::Storm(std::uint64_t seed, std::uint64_t script, Size size, Layout layout)
    : world_(seed), random_(script) {
    for (int i = 0; i < size.pipes; ++i) streams_.push_back({.pipe = world_.pipe()});
    for (int i = 0; i < size.operations; ++i) actions_.push_back(std::make_unique<Action>());
    // The allocator gives rising addresses; the run must not depend on that.
    if (layout == Layout::downwards) std::reverse(actions_.begin(), actions_.end());
    for (int i = 0; i < size.operations; ++i) actions_[static_cast<std::size_t>(i)]->index = i;
}

void Storm::run() {
    while (next_ < actions_.size()) take_step();
    drain();
    const auto unsubmitted = std::count_if(
        actions_.begin(), actions_.end(), [](const auto& action) { return !action->is_submitted; });
    EXPECT_EQ(finished_in_submit + reported + unsubmitted, static_cast<long>(actions_.size()));
    EXPECT_EQ(bytes_read, bytes_written);
}

void Storm::take_step() {
    for (std::size_t count = random_below(6); count > 0; --count) submit_next();
    if (random_below(4) == 0) cancel_one();
    // Never without a deadline: a script may leave nothing but operations that wait for its next
    // step.
    const TimePoint soon = world_->now() + std::chrono::microseconds(random_below(200));
    wait(random_below(3) == 0 ? at_once : soon);
}

bool Storm::fill_in(Action& action) {
    action.stream = static_cast<int>(random_below(streams_.size()));
    Stream& stream = streams_[static_cast<std::size_t>(action.stream)];
    const auto choice = random_below(5);
    const std::size_t size = random_below(16) == 0 ? random_below(100'000) : random_below(5000);
    if (choice == 0) {
        const bool at_writer = random_below(2) == 0;
        action.kind = OperationKind::poll;
        action.fd = at_writer ? stream.pipe.write_end : stream.pipe.read_end;
        action.events = at_writer ? POLLOUT : POLLIN;
        return true;
    }
    const bool writes = choice <= 2;
    if (std::exchange(writes ? stream.is_written : stream.is_read, true)) return false;
    action.kind = writes ? OperationKind::write : OperationKind::read;
    action.fd = writes ? stream.pipe.write_end : stream.pipe.read_end;
    action.bytes.resize(size + 1);
    if (writes) {
        for (std::size_t i = 0; i < action.bytes.size(); ++i) {
            action.bytes[i] = byte_at(action.stream, stream.written + static_cast<long>(i));
        }
    }
    action.buffer = action.bytes.data();
    action.size = action.bytes.size();
    return true;
}

void Storm::submit_next() {
    if (next_ == actions_.size()) return;
    Action& action = *actions_[next_++];
    if (!fill_in(action)) return;
    action.is_submitted = true;
    if (world_.submit(action)) {
        ++finished_in_submit;
        account(action);
    } else {
        EXPECT_EQ(action.state, Operation::State::in_flight);
        in_flight_.push_back(&action);
    }
}

void Storm::cancel_one() {
    if (in_flight_.empty()) return;
    Action& action = *in_flight_[random_below(in_flight_.size())];
    world_->cancel(action);
    if (!std::exchange(action.is_cancelled, true)) ++cancelled;
}

void Storm::wait(TimePoint deadline) {
    for (Operation* operation : world_.wait(deadline)) {
        Action& action = static_cast<Action&>(*operation);
        const auto place = std::find(in_flight_.begin(), in_flight_.end(), &action);
        ASSERT_NE(place, in_flight_.end()) << "reported twice, or never submitted";
        in_flight_.erase(place);
        ++reported;
        order_.push_back(action.index);
        account(action);
    }
    remember(static_cast<std::uint64_t>(world_->now().time_since_epoch().count()));
}

void Storm::account(Action& action) {
    remember(static_cast<std::uint64_t>(action.index));
    remember(static_cast<std::uint64_t>(action.result));
    if (action.is_cancelled && action.result >= 0) ++succeeded_though_cancelled;
    if (action.result < 0) {
        EXPECT_TRUE(action.is_cancelled);
        EXPECT_EQ(action.result, -ECANCELED);
    }
    Stream& stream = streams_[static_cast<std::size_t>(action.stream)];
    if (action.kind == OperationKind::poll) return;
    const long count = std::max(action.result, 0);
    if (action.kind == OperationKind::write) {
        stream.is_written = false;
        stream.written += count;
        bytes_written += count;
        return;
    }
    stream.is_read = false;
    for (long i = 0; i < count; ++i) {
        ASSERT_EQ(action.bytes[static_cast<std::size_t>(i)],
                  byte_at(action.stream, stream.read + i))
            << "byte " << stream.read + i << " of stream " << action.stream;
    }
    stream.read += count;
    bytes_read += count;
}

/// Ends everything, then reads what is left in the pipes.
void Storm::drain() {
    for (Action* action : in_flight_) {
        world_->cancel(*action);
        if (!std::exchange(action->is_cancelled, true)) ++cancelled;
    }
    while (!in_flight_.empty() && !testing::Test::HasFatalFailure()) wait(world_->now() + 1s);
    for (Stream& stream : streams_) {
        ASSERT_EQ(world_.close(stream.pipe.write_end), 0);
        for (;;) {
            const std::string bytes = world_.read(stream.pipe.read_end, 10'000);
            if (bytes.empty()) break;
            const int index = static_cast<int>(&stream - streams_.data());
            for (char byte : bytes) {
                ASSERT_EQ(static_cast<unsigned char>(byte), byte_at(index, stream.read++));
            }
            bytes_read += static_cast<long>(bytes.size());
        }
        ASSERT_EQ(world_.close(stream.pipe.read_end), 0);
    }
}

/// FNV-1a, eight bytes at a time.
void Storm::remember(std::uint64_t value) {
    for (int i = 0; i < 8; ++i) {
        trace_ = (trace_ ^ (value >> (8 * i) & 0xff)) * 0x100000001b3u;
    }
}

}  // namespace simulation
