// Goal: no template and no value makes the command `asyncio batch` read behind a text, and the text
// of a value never becomes a part of the script.
// Method: a template is read, and filled with values that are in the input, too. A simple reader of
// quotations checks the quoted words.

#include "batch/input/command_feed.h"
#include "batch/shell/here_document.h"
#include "batch/shell/open_quotation.h"
#include "batch/shell/template.h"
#include "fuzz/fuzz.h"

namespace {

using namespace tool::batch;
using fuzz::require;

/// What a shell makes of a word with single quotes and `\'`.
std::string unquoted(const std::string& word) {
    std::string text;
    bool is_quoted = false;
    for (std::size_t i = 0; i < word.size(); ++i) {
        if (word[i] == '\'') {
            is_quoted = !is_quoted;
        } else if (word[i] == '\\' && !is_quoted) {
            text += word[++i];
        } else {
            require(is_quoted || word[i] != ' ', "a blank stands in quotes");
            text += word[i];
        }
    }
    require(!is_quoted, "the quotation ends");
    return text;
}

void check_value(const std::string& value) {
    require(unquoted(quoted(value)) == value, "a quoted word is the value");
    require(find_open_quotation(quoted(value)) == nullptr, "its quotation is closed");
    const std::string folder = part_of(value, Part::folder);
    const std::string name = part_of(value, Part::name);
    require(!folder.empty(), "every value has a folder");
    require(name.find('/') == name.npos && value.ends_with(name), "the name is behind the slash");
    require(value.starts_with(part_of(value, Part::stem)), "the stem is in front");
    require(name.starts_with(part_of(value, Part::name_stem)), "the stem of the name, too");
}

void check_template(const std::string& text, const std::vector<std::string>& values) {
    try {
        const Template made(text, values.size());
        const std::vector<std::string> variables = made.variables(values);
        require(variables.size() >= values.size(), "each value is a variable");
        for (const std::string& variable : variables)
            require(variable.starts_with(value_variable), "with the name of one");
        static_cast<void>(made.text({.number = 1, .slot = 2, .values = values}));
        static_cast<void>(made.text({.number = 1, .slot = 0, .values = values}));
        // The script is the same for all values, so no value is in it.
        const Template again(text, values.size());
        require(made.script() == again.script(), "the script depends on the template alone");
    } catch (const TemplateError&) {
        // A mark of a list that is not there, or one in a literal document.
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
    fuzz::Input input(bytes, size);
    std::vector<std::string> values;
    for (std::size_t count = 1 + input.below(3); count > 0; --count)
        values.push_back(input.short_text());
    const std::string text = input.all();
    for (const std::string& value : values) check_value(value);
    check_template(text, values);
    static_cast<void>(is_command(text));
    static_cast<void>(find_open_quotation(text));
    if (text.starts_with("<<")) {
        static_cast<void>(here_operator(text));
        if (const auto document = begin_here_document(text))
            require(document->end.find('\n') == std::string::npos, "the end is a line");
    }
    return 0;
}
