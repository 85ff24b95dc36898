#include "batch/value_feed.h"

#include <algorithm>
#include <utility>

namespace batch {

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

/// The last group goes on; if it is at its end, it begins again and the one before it goes on.
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

/// False if the group has no row at that position, which is known or the next.
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
    return "the linked lists are of different lengths; what has no partner is left out";
}

}  // namespace batch
