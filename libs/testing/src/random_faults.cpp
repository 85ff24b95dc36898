// The plan of faults that a seed draws.
//
// As with the plan of the back-end (swarm testing), a run is not a mixture of everything: every
// link draws which of its properties are bad at all, and how bad they are. So some runs have a
// clean but slow network, and others a fast one that loses a tenth of everything.
//
// The plan is drawn as a whole before anything happens, and not step by step. So the program under
// test has no influence on it: two versions of a program meet the same faults under one seed, as
// long as they add the same hosts. And the plan can be shown, and be given to another test.
//
// After its time everything is healed. A test can then check that the program has recovered, which
// is what most programs promise.

#include <asyncio/testing/network.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace asyncio::testing {
namespace {

/// Draws one plan. The order of the questions to the dice is a part of every seed.
class Draw {
public:
    Draw(lowlevel::SimulatedNetwork& dice, std::vector<std::string> hosts,
         const RandomFaults& faults)
        : dice_(dice), hosts_(std::move(hosts)), faults_(faults) {}

    FaultPlan plan() {
        draw_links();
        draw_clocks();
        for (Duration now = pause(); now < faults_.duration && !kinds().empty(); now += pause())
            draw_fault(now);
        heal();
        FaultPlan plan;
        for (auto& [when, fault] : plan_) plan.push_back({when, std::move(fault)});
        return plan;
    }

private:
    using Kind = Fault::Kind;

    std::size_t below(std::size_t bound) {
        return static_cast<std::size_t>(dice_.random_below(bound));
    }
    bool coin() { return below(2) == 0; }
    Duration up_to(Duration most) {
        const auto steps = std::max<Duration::rep>(most.count(), 1);
        return Duration(
            static_cast<Duration::rep>(dice_.random_below(static_cast<std::uint64_t>(steps))));
    }
    /// From a half to three halves of the average, and never zero.
    Duration pause() { return faults_.pause / 2 + up_to(faults_.pause) + Duration(1); }
    double part_of(double most) {
        constexpr std::size_t steps = 1000;
        return coin() ? most * static_cast<double>(below(steps)) / steps : 0;
    }

    /// Every property is bad in half of the links. The best value of each is that of a perfect
    /// link.
    Link link() {
        const Link& worst = faults_.worst_link;
        Link link;
        link.latency = coin() ? up_to(worst.latency) : Duration::zero();
        link.jitter = coin() ? up_to(worst.jitter) : Duration::zero();
        link.bytes_per_second = coin() ? worst.bytes_per_second : 0;
        link.largest_piece_bytes = coin() ? worst.largest_piece_bytes : 0;
        link.loss = part_of(worst.loss);
        link.duplication = part_of(worst.duplication);
        link.reordering = part_of(worst.reordering);
        return link;
    }

    /// Each pair once: a link of the plan is one in both directions.
    template <class Visit>
    void for_each_pair(Visit visit) const {
        for (std::size_t one = 0; one < hosts_.size(); ++one) {
            for (std::size_t other = one + 1; other < hosts_.size(); ++other)
                visit(hosts_[one], hosts_[other]);
        }
    }

    void draw_links() {
        for_each_pair([&](const std::string& one, const std::string& other) {
            add(Duration::zero(), Fault::link(one, other, link()));
        });
    }

    /// Between the worst clock that is slow and the worst that is fast.
    void draw_clocks() {
        if (faults_.worst_skew <= Duration::zero() && faults_.worst_drift <= 0) return;
        for (const std::string& host : hosts_) {
            const Duration skew = up_to(2 * faults_.worst_skew) - faults_.worst_skew;
            const double drift = part_of(faults_.worst_drift) * (coin() ? 1 : -1);
            add(Duration::zero(), Fault::clock(host, skew, drift));
        }
    }

    /// What can happen at all: a partition needs two hosts.
    std::vector<Kind> kinds() const {
        std::vector<Kind> kinds;
        if (faults_.partitions && hosts_.size() > 1) kinds.push_back(Kind::partition);
        if (faults_.resets && hosts_.size() > 1) kinds.push_back(Kind::reset);
        if (faults_.deaths && !hosts_.empty()) kinds.push_back(Kind::die);
        if (faults_.full_disks && !hosts_.empty()) kinds.push_back(Kind::disk);
        return kinds;
    }

    /// A fault that lasts has its end in the plan, not later than the end of all faults.
    void draw_fault(Duration now) {
        const std::vector<Kind> possible = kinds();
        const Kind kind = possible[below(possible.size())];
        const std::size_t first = below(hosts_.size());
        const std::string& one = hosts_[first];
        const Duration end = std::min(now + up_to(faults_.longest), faults_.duration);
        if (kind == Kind::die) {
            add(now, Fault::die(one));
            add(end, Fault::come_back(one));
            return;
        }
        if (kind == Kind::disk) {
            add(now, Fault::disk(one, 0));
            add(end, Fault::disk(one, dice_.usual_disk_size_bytes()));
            return;
        }
        const std::size_t step = 1 + below(hosts_.size() - 1);
        const std::string& other = hosts_[(first + step) % hosts_.size()];
        if (kind == Kind::reset) return add(now, Fault::reset(one, other));
        add(now, Fault::partition(one, other));
        add(end, Fault::heal(one, other));
    }

    /// A host that died twice within its time comes back with the first of the two.
    void heal() {
        add(faults_.duration, Fault::heal_all());
        if (faults_.worst_skew > Duration::zero() || faults_.worst_drift > 0) {
            for (const std::string& host : hosts_)
                add(faults_.duration, Fault::clock(host, Duration::zero()));
        }
        for_each_pair([&](const std::string& one, const std::string& other) {
            add(faults_.duration, Fault::link(one, other, Link{}));
        });
    }

    void add(Duration when, Fault fault) { plan_.emplace(when, std::move(fault)); }

    lowlevel::SimulatedNetwork& dice_;
    std::vector<std::string> hosts_;
    const RandomFaults& faults_;
    /// In the order of their times, and for one time in the order in which they were drawn.
    std::multimap<Duration, Fault> plan_;
};

}  // namespace

FaultPlan Network::fail_at_random(const RandomFaults& faults) {
    if (simulated_.is_plain()) return {};
    std::vector<std::string> names;
    for (std::size_t number = 1; number < hosts_.size(); ++number)
        names.push_back(hosts_[number].name);
    FaultPlan drawn = Draw(simulated_, std::move(names), faults).plan();
    plan(drawn);
    return drawn;
}

}  // namespace asyncio::testing
