// How lists are combined without holding the combinations.
//
// The groups work like the digits of a counter: the last group counts up; when it is at its end, it
// starts again and the group before it counts up. Only the current row of each group is needed, so
// three lists of a thousand values need at most three thousand values and not a billion commands.

#include "batch/input/value_feed.h"

#include <algorithm>
#include <utility>

namespace tool::batch {

using asyncio::Coro;

Coro<std::optional<std::string>> ValueList::next() {
    if (auto* reader = std::get_if<ItemReader>(&source_)) co_return co_await reader->next();
    auto& words = std::get<Words>(source_);
    if (words.next == words.values.size()) co_return std::nullopt;
    co_return std::move(words.values[words.next++]);
}

bool ValueList::is_finite() const noexcept {
    const auto* reader = std::get_if<ItemReader>(&source_);
    return reader == nullptr || reader->is_finite();
}

ValueFeed::ValueFeed(const std::vector<ListWords>& lists, ItemEnd end) {
    for (const ListWords& list : lists) {
        if (!list.in_files) {
            add(ValueList(list.words), list.linked);
            continue;
        }
        for (const std::string& file : list.words) {
            add(ValueList(ItemReader(open_input(file), end, "value")), list.linked);
        }
    }
}

void ValueFeed::add(ValueList list, bool linked) {
    if (!linked || groups_.empty()) groups_.emplace_back();
    groups_.back().lists.push_back(std::move(list));
    ++lists_;
}

Coro<std::optional<Command>> ValueFeed::next() {
    if (has_ended_) co_return std::nullopt;
    has_ended_ = !co_await advance();
    if (has_ended_) co_return std::nullopt;
    Command command{.number = ++count_};
    for (const Group& group : groups_) {
        command.values.insert(command.values.end(), group.row.begin(), group.row.end());
    }
    co_return command;
}

/// Moves to the next combination. False if there is none. The first call reads one row of every
/// group; if a group has none, there is no combination at all.
Coro<bool> ValueFeed::advance() {
    if (count_ == 0) {
        for (Group& group : groups_) {
            const bool has_any = co_await set_row(group, 0);
            if (!has_any) co_return false;
        }
        co_return true;
    }
    for (std::size_t index = groups_.size(); index-- > 0;) {
        Group& group = groups_[index];
        const bool goes_on = co_await set_row(group, group.position + 1);
        if (goes_on) co_return true;
        if (index > 0) co_await set_row(group, 0);
    }
    co_return false;
}

/// Makes the row at `position` the current one. The position was reached before, or it is the next.
/// False if the group has no row there.
Coro<bool> ValueFeed::set_row(Group& group, std::size_t position) {
    const bool is_kept = &group != &groups_.front();
    if (position < group.rows.size()) {
        group.row = group.rows[position];
    } else {
        std::optional<Row> row = co_await read_row(group);
        if (!row) co_return false;
        group.row = std::move(*row);
        if (is_kept) group.rows.push_back(group.row);
    }
    group.position = position;
    co_return true;
}

/// Reads one value from each list of the group. A value that has no partner in a shorter list is
/// dropped, and the user gets a remark.
Coro<std::optional<ValueFeed::Row>> ValueFeed::read_row(Group& group) {
    if (group.has_ended) co_return std::nullopt;
    Row row;
    for (ValueList& list : group.lists) {
        std::optional<std::string> value = co_await list.next();
        if (value) row.push_back(std::move(*value));
    }
    if (row.size() == group.lists.size()) co_return row;
    group.has_ended = true;
    lengths_differ_ |= !row.empty();
    co_return std::nullopt;
}

bool ValueFeed::is_finite() const noexcept {
    return std::ranges::all_of(groups_, [](const Group& group) {
        return std::ranges::all_of(group.lists, &ValueList::is_finite);
    });
}

std::string ValueFeed::remark() const {
    if (!lengths_differ_) return {};
    return "the linked lists have different lengths; values without a partner are skipped";
}

}  // namespace tool::batch
