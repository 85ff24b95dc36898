#pragma once
// Values for a template, from lists whose values are combined in every way (`:::`) or in pairs
// (`:::+`).
//
//   ::: a b ::: 1 2       a 1, a 2, b 1, b 2: the last list changes fastest
//   ::: a b :::+ 1 2      a 1, b 2: as many commands as the shortest list has values
//
// A list may be a file that is still being written. The first list is read when its values are
// needed, and its values are not kept. So it may be without end. The values of the other lists are
// kept, because the feed iterates over them once for each value of the first list. They are read
// when the first iteration needs them.

#include "batch/input/feed.h"
#include "batch/input/input.h"
#include "batch/input/list_words.h"

#include <variant>

namespace tool::batch {

/// The values of one list.
class ValueList {
public:
    explicit ValueList(std::vector<std::string> values) : source_(Words{std::move(values)}) {}
    explicit ValueList(ItemReader reader) : source_(std::move(reader)) {}

    asyncio::Coro<std::optional<std::string>> next();
    bool is_finite() const noexcept;

private:
    struct Words {
        std::vector<std::string> values;
        std::size_t next = 0;
    };
    std::variant<Words, ItemReader> source_;
};

class ValueFeed final : public Feed {
public:
    using Row = std::vector<std::string>;

    /// Opens the files. There must be at least one list. If the first list is marked as linked, the
    /// mark is ignored: there is no list before it.
    /// Throws: InputError.
    ValueFeed(const std::vector<ListWords>& lists, ItemEnd end);

    /// How many values each command has.
    std::size_t lists() const noexcept { return lists_; }

    asyncio::Coro<std::optional<Command>> next() override;
    bool is_finite() const noexcept override;
    std::string remark() const override;

private:
    /// Linked lists. A row, with a value from each list, is taken at a time.
    struct Group {
        std::vector<ValueList> lists;
        /// The rows that were read. Empty for the first group, whose rows are used only once.
        std::vector<Row> rows = {};
        /// The current row, and its position.
        Row row = {};
        std::size_t position = 0;
        bool has_ended = false;
    };

    asyncio::Coro<bool> advance();
    asyncio::Coro<bool> set_row(Group& group, std::size_t position);
    asyncio::Coro<std::optional<Row>> read_row(Group& group);
    void add(ValueList list, bool linked);

    std::vector<Group> groups_;
    std::size_t lists_ = 0;
    std::size_t count_ = 0;
    bool has_ended_ = false;
    bool lengths_differ_ = false;
};

}  // namespace tool::batch
