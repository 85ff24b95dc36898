// Questions about the terminal. They are asked again for each use, because a user may change the
// size of the window while a batch runs.

#include "terminal/terminal.h"

#include <clocale>
#include <cstdlib>
#include <string_view>

#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace tool {
namespace {

constexpr int usual_columns = 80;

std::string_view environment(const char* name) noexcept {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

}  // namespace

bool is_terminal(Stream stream) noexcept { return ::isatty(static_cast<int>(stream)) == 1; }

int terminal_columns() noexcept {
    winsize size{};
    if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    const int columns = std::atoi(environment("COLUMNS").data());
    return columns > 0 ? columns : usual_columns;
}

bool locale_is_utf8() {
    // Only the character set is taken from the locale. Numbers in a job log have a decimal point in
    // every country.
    std::setlocale(LC_CTYPE, "");
    return std::string_view(::nl_langinfo(CODESET)) == "UTF-8";
}

bool can_show_progress() noexcept {
    return is_terminal(Stream::errors) && environment("NO_COLOR").empty() &&
           environment("TERM") != "dumb";
}

}  // namespace tool
