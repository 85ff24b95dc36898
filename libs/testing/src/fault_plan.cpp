// The text of a plan: one word for each kind of fault, names of hosts, and numbers with units.
//
// The text is for people: it stands in the error of a failed seed, and is pasted into a test from
// there. So what is written is read back as the same plan, and times have the units in which a
// reader thinks. A name of a host that has a space in it cannot be written; nothing prevents such a
// name in a plan that is made of `Fault`s.
//
// Tables of words, units and settings serve the reader and the writer alike, so the two cannot
// drift apart. A general format such as JSON was rejected: a fault is one short line, which a
// person writes by hand, and a parser for that format would be longer than this file.
//
// This file knows no network. So it checks the form of a line, and neither the names of hosts nor
// the ranges of numbers. `Network::plan` looks the names up.

#include <asyncio/testing/fault_plan.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <locale>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

namespace asyncio::testing {
namespace {

using Kind = Fault::Kind;

/// How many hosts a fault names.
struct Word {
    Kind kind;
    std::string_view word;
    std::size_t hosts;
};

/// `heal` without hosts heals everything. The reader finds the first of the two entries and looks
/// whether hosts follow; the writer finds each by its kind.
constexpr Word words[] = {
    {Kind::partition, "partition", 2}, {Kind::heal, "heal", 2},   {Kind::heal_all, "heal", 0},
    {Kind::reset, "reset", 2},         {Kind::die, "die", 1},     {Kind::come_back, "come_back", 1},
    {Kind::link, "link", 2},           {Kind::clock, "clock", 1}, {Kind::disk, "disk", 1}};

/// A unit of time as a plan spells it, and its length.
struct Unit {
    std::string_view name;
    std::int64_t nanoseconds;
};

/// From the largest to the smallest, as a time is written.
constexpr Unit units[] = {{"h", 3'600'000'000'000}, {"m", 60'000'000'000}, {"s", 1'000'000'000},
                          {"ms", 1'000'000},        {"us", 1'000},         {"ns", 1}};

/// A sum of units, without the units that are zero: "1m30s". A fraction such as "1.5m" is not
/// written, because it would have to be rounded.
std::string text_of(Duration time) {
    const auto whole = std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
    if (whole == 0) return "0s";
    std::string text = whole < 0 ? "-" : "";
    // Without a sign, because the smallest number has no positive counterpart.
    auto rest = static_cast<std::uint64_t>(whole);
    if (whole < 0) rest = 0 - rest;
    for (const Unit& unit : units) {
        const auto size = static_cast<std::uint64_t>(unit.nanoseconds);
        if (rest < size) continue;
        text += std::to_string(rest / size);
        text += unit.name;
        rest %= size;
    }
    return text;
}

/// The shortest text that is read back as the same number. Six digits, as `std::to_string` gives
/// them, would make a pasted plan another plan. The language settings of the process have no
/// influence on it.
std::string text_of(double number) {
    std::array<char, 32> text{};
    const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), number);
    static_cast<void>(error);
    return {text.data(), end};
}

std::string text_of(std::uint64_t number) { return std::to_string(number); }

/// A line of a plan, taken apart from the left.
///
/// Every error quotes the whole line. A plan is usually pasted, and the line is what its reader
/// looks for.
class Line {
public:
    explicit Line(std::string_view text) : whole_(text), rest_(text.substr(0, text.find('#'))) {
        skip_spaces();
    }

    bool at_end() const { return rest_.empty(); }

    /// The next word, and the spaces behind it are skipped. Empty at the end of the line. Every
    /// reader refuses the empty word, so a line that is too short is an error in all places.
    std::string_view word() {
        const std::string_view word = rest_.substr(0, rest_.find_first_of(" \t\r"));
        rest_.remove_prefix(word.size());
        skip_spaces();
        return word;
    }

    [[noreturn]] void fail(std::string_view reason) const {
        throw std::invalid_argument("fault plan: " + std::string(reason) + ": \"" +
                                    std::string(whole_) + "\"");
    }

    /// "1s500ms" or "-3s". A number without a unit is refused, because its reader could take it for
    /// seconds or for milliseconds. The order of the units is free: a sum has one meaning.
    Duration time(std::string_view text) const {
        const bool is_negative = text.starts_with('-');
        if (is_negative) text.remove_prefix(1);
        if (text.empty()) fail("a time is missing");
        std::int64_t sum = 0;
        while (!text.empty()) {
            std::int64_t count = 0;
            read(take(text, "0123456789"), count);
            const std::string_view name = text.substr(0, text.find_first_of("0123456789"));
            text.remove_prefix(name.size());
            if (__builtin_mul_overflow(count, nanoseconds_of(name), &count) ||
                __builtin_add_overflow(sum, count, &sum))
                fail("a time is too long");
        }
        return std::chrono::nanoseconds(is_negative ? -sum : sum);
    }

    // Each reads the whole text, or fails.
    void read(std::string_view text, Duration& value) const { value = time(text); }
    template <class Number>
    void read(std::string_view text, Number& value) const {
        const char* const end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data(), end, value);
        if (error != std::errc() || stop != end) fail("a number is wrong");
    }
    /// By a stream: libc++ has no `from_chars` for this type. The locale is C's, so a point is a
    /// point in every country.
    void read(std::string_view text, double& value) const {
        std::istringstream in{std::string(text)};
        in.imbue(std::locale::classic());
        if (!(in >> std::noskipws >> value) || in.peek() != std::istringstream::traits_type::eof())
            fail("a number is wrong");
    }

private:
    /// A plan that was pasted may come with tabs, or with the line ends of another system.
    void skip_spaces() {
        rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r"), rest_.size()));
    }
    /// Cuts the first letters of `text` off that are in `letters`, and returns them.
    static std::string_view take(std::string_view& text, std::string_view letters) {
        const std::string_view taken = text.substr(0, text.find_first_not_of(letters));
        text.remove_prefix(taken.size());
        return taken;
    }
    std::int64_t nanoseconds_of(std::string_view name) const {
        for (const Unit& unit : units) {
            if (unit.name == name) return unit.nanoseconds;
        }
        fail("the unit of a time is wrong");
    }

    std::string_view whole_;
    std::string_view rest_;
};

/// The properties of a link, each with the member that holds it. One table serves the reader and
/// the writer, so that no property can be forgotten in one of them.
using Member = std::variant<Duration Link::*, std::uint64_t Link::*, double Link::*>;
struct Setting {
    std::string_view name;
    Member member;
};
constexpr Setting settings[] = {{"latency", &Link::latency},
                                {"jitter", &Link::jitter},
                                {"bytes_per_second", &Link::bytes_per_second},
                                {"largest_piece_bytes", &Link::largest_piece_bytes},
                                {"loss", &Link::loss},
                                {"duplication", &Link::duplication},
                                {"reordering", &Link::reordering}};

/// "name=value". Without a sign the value is empty, and reading it fails.
void read_setting(const Line& line, std::string_view text, Link& link) {
    const std::string_view name = text.substr(0, text.find('='));
    const std::string_view value = text.substr(std::min(name.size() + 1, text.size()));
    for (const Setting& setting : settings) {
        if (setting.name != name) continue;
        return std::visit([&](auto member) { line.read(value, link.*member); }, setting.member);
    }
    line.fail("a link has no such property");
}

/// A property with its usual value is not written, so a link without faults is short. If a property
/// is added to `Link`, plans that were written before still mean the same.
std::string text_of_settings(const Link& link) {
    std::string text;
    for (const Setting& setting : settings) {
        std::visit(
            [&](auto member) {
                if (link.*member == Link{}.*member) return;
                text += ' ' + std::string(setting.name) + '=' + text_of(link.*member);
            },
            setting.member);
    }
    return text;
}

/// Every kind stands in the table, so the search finds an entry.
const Word& word_of(Kind kind) {
    return *std::find_if(std::begin(words), std::end(words),
                         [&](const Word& known) { return known.kind == kind; });
}

/// `heal` without hosts is a kind of its own, and the only one that the rest of the line decides.
Kind kind_of(const Line& line, std::string_view word) {
    const auto* known = std::find_if(std::begin(words), std::end(words),
                                     [&](const Word& each) { return each.word == word; });
    if (known == std::end(words)) line.fail("there is no such fault");
    return known->kind == Kind::heal && line.at_end() ? Kind::heal_all : known->kind;
}

constexpr std::string_view word_of_drift = "drift=";

/// The skew, and the drift if the clock has one.
void read_clock(Line& line, Fault& fault) {
    fault.skew = line.time(line.word());
    if (line.at_end()) return;
    const std::string_view text = line.word();
    if (!text.starts_with(word_of_drift)) line.fail("a clock has no such property");
    line.read(text.substr(word_of_drift.size()), fault.drift);
}

std::string text_of_clock(const Fault& fault) {
    std::string text = ' ' + text_of(fault.skew);
    if (fault.drift != 0) text += ' ' + std::string(word_of_drift) + text_of(fault.drift);
    return text;
}

/// The words follow each other in one order: the time, the fault, its hosts, its numbers. A word
/// too many is an error as well: a plan with a slip in it must not run as another plan.
PlannedFault read_fault(Line& line) {
    PlannedFault fault;
    fault.when = line.time(line.word());
    fault.what.kind = kind_of(line, line.word());
    const std::size_t hosts = word_of(fault.what.kind).hosts;
    if (hosts > 0) fault.what.one = line.word();
    if (hosts > 1) fault.what.other = line.word();
    if ((hosts > 0 && fault.what.one.empty()) || (hosts > 1 && fault.what.other.empty()))
        line.fail("a host is missing");
    if (fault.what.kind == Kind::clock) read_clock(line, fault.what);
    if (fault.what.kind == Kind::disk) line.read(line.word(), fault.what.size_bytes);
    while (fault.what.kind == Kind::link && !line.at_end())
        read_setting(line, line.word(), fault.what.settings);
    if (!line.at_end()) line.fail("there is a word too many");
    return fault;
}

}  // namespace

/// The makers of faults. A fault is one structure with a member for every number that some kind
/// needs, and the makers fill in what belongs together. A variant of nine types was rejected: plans
/// are short, so the unused members cost nothing, and a fault can be copied and looked at as a
/// plain value.
Fault Fault::partition(std::string one, std::string other) {
    return {.kind = Kind::partition, .one = std::move(one), .other = std::move(other)};
}

Fault Fault::heal(std::string one, std::string other) {
    return {.kind = Kind::heal, .one = std::move(one), .other = std::move(other)};
}

Fault Fault::heal_all() { return {.kind = Kind::heal_all}; }

Fault Fault::reset(std::string one, std::string other) {
    return {.kind = Kind::reset, .one = std::move(one), .other = std::move(other)};
}

Fault Fault::die(std::string host) { return {.kind = Kind::die, .one = std::move(host)}; }

Fault Fault::come_back(std::string host) {
    return {.kind = Kind::come_back, .one = std::move(host)};
}

Fault Fault::link(std::string one, std::string other, const Link& link) {
    return {.kind = Kind::link, .one = std::move(one), .other = std::move(other), .settings = link};
}

Fault Fault::clock(std::string host, Duration skew, double drift) {
    return {.kind = Kind::clock, .one = std::move(host), .skew = skew, .drift = drift};
}

Fault Fault::disk(std::string host, std::uint64_t size_bytes) {
    return {.kind = Kind::disk, .one = std::move(host), .size_bytes = size_bytes};
}

/// The counterpart of `read_fault`: the same words in the same order.
std::string to_text(const FaultPlan& plan) {
    std::string text;
    for (const PlannedFault& fault : plan) {
        const Word& word = word_of(fault.what.kind);
        text += text_of(fault.when) + ' ';
        text += word.word;
        if (word.hosts > 0) text += ' ' + fault.what.one;
        if (word.hosts > 1) text += ' ' + fault.what.other;
        if (fault.what.kind == Kind::clock) text += text_of_clock(fault.what);
        if (fault.what.kind == Kind::disk) text += ' ' + text_of(fault.what.size_bytes);
        if (fault.what.kind == Kind::link) text += text_of_settings(fault.what.settings);
        text += '\n';
    }
    return text;
}

/// Bounded by the lines of the text.
FaultPlan plan_of_text(std::string_view text) {
    FaultPlan plan;
    while (!text.empty()) {
        const std::string_view one = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(one.size() + 1, text.size()));
        Line line(one);
        if (!line.at_end()) plan.push_back(read_fault(line));
    }
    return plan;
}

}  // namespace asyncio::testing
