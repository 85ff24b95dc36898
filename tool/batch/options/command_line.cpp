// How the words of a command line are sorted into options, commands and lists of values.
//
// The sorter must know which options take a value, because the word after such an option is not a
// command. It asks CLI11 for this and has no table of its own, so a new option needs no change
// here. The sorter reports no errors: an unknown option or a missing value goes to CLI11, which
// reports it in its own words.

#include "batch/options/command_line.h"

#include <algorithm>
#include <optional>
#include <utility>

#include <CLI/CLI.hpp>

namespace tool::batch {
namespace {

using Arguments = std::span<const std::string>;

/// An empty list of the right kind if `word` is `:::`, `:::+`, `::::` or `::::+`; nothing
/// otherwise.
std::optional<ListWords> begin_list(std::string_view word) {
    for (const bool in_files : {false, true}) {
        for (const bool linked : {false, true}) {
            std::string mark(in_files ? 4 : 3, ':');
            if (linked) mark += '+';
            if (word == mark) return ListWords{in_files, linked, {}};
        }
    }
    return std::nullopt;
}

bool is_option(std::string_view word) { return word.size() > 1 && word.front() == '-'; }

bool has_value(const CLI::App& app, const std::string& name) {
    const CLI::Option* option = app.get_option_no_throw(name);
    return option != nullptr && option->get_items_expected_min() > 0;
}

class Sorter {
public:
    Sorter(const CLI::App& app, Arguments arguments) : app_(app), rest_(arguments) {}

    CommandLine sort() {
        // The first mark is searched before the options, because it decides where the options end.
        const auto mark = std::find_if(rest_.begin(), rest_.end(),
                                       [](const auto& word) { return begin_list(word); });
        const Arguments lists(mark, rest_.end());
        rest_ = Arguments(rest_.begin(), mark);
        sort_options(!lists.empty());
        for (const std::string& word : lists) add_to_lists(word);
        return std::move(line_);
    }

private:
    /// Without lists, options may stand behind commands. With lists, the words are one template:
    /// options behind its first word belong to the program in it, as in `gzip -9 {} ::: a b`.
    void sort_options(bool end_at_first_word) {
        while (!rest_.empty()) {
            const std::string word = take();
            if (word == "--") break;
            if (is_option(word)) {
                add_option(word);
                continue;
            }
            line_.words.push_back(word);
            if (end_at_first_word) break;
        }
        line_.words.insert(line_.words.end(), rest_.begin(), rest_.end());
    }

    void add_option(const std::string& word) {
        if (word.starts_with("--")) return add_long(word);
        add_short(word);
    }

    void add_long(const std::string& word) {
        if (word.find('=') == std::string::npos) return add_name(word);
        line_.options.push_back(word);
    }

    /// Splits a group of short options: `-kj4` is `-k -j 4`.
    void add_short(const std::string& word) {
        for (std::size_t index = 1; index < word.size(); ++index) {
            const std::string name{'-', word[index]};
            const bool is_last = index + 1 == word.size();
            if (is_last || !has_value(app_, name)) {
                add_name(name);
                continue;
            }
            line_.options.push_back(name);
            line_.options.push_back(word.substr(index + 1));
            return;
        }
    }

    /// Adds an option, and the next word if the option takes a value. CLI11 reports a missing
    /// value.
    void add_name(const std::string& name) {
        line_.options.push_back(name);
        if (has_value(app_, name) && !rest_.empty()) line_.options.push_back(take());
    }

    void add_to_lists(const std::string& word) {
        if (auto list = begin_list(word)) {
            line_.lists.push_back(std::move(*list));
        } else {
            line_.lists.back().words.push_back(word);
        }
    }

    std::string take() {
        const std::string& first = rest_.front();
        rest_ = rest_.subspan(1);
        return first;
    }

    const CLI::App& app_;
    Arguments rest_;
    CommandLine line_;
};

}  // namespace

CommandLine sort_arguments(const CLI::App& app, std::span<const std::string> arguments) {
    return Sorter(app, arguments).sort();
}

}  // namespace tool::batch
