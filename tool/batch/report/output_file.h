#pragma once
// A file that the batch writes: the job log or the report.
//
// Its name may lead to the same file as standard output or standard error (`/dev/stdout`, or the
// file of a redirection). If that file were opened a second time, it would be truncated, and the
// report would overwrite the output of the commands. So in this case the stream itself is used.

#include <asyncio.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tool::batch {

class OutputFile {
public:
    enum class Begin : std::uint8_t { anew, behind_what_is_there };

    /// Throws: asyncio::OsError if the file cannot be written; `what` is what the error calls it.
    OutputFile(const std::string& path, Begin begin, const std::string& what);

    /// Writes to standard output.
    OutputFile() noexcept;

    /// Returns 0, or an errno. `patience` is the one of `write_all`.
    int write(std::string_view text,
              std::optional<asyncio::Duration> patience = std::nullopt) const noexcept;

private:
    /// Empty if a standard stream is used, which must not be closed.
    asyncio::lowlevel::Fd file_;
    /// The descriptor to write to.
    int number_;
};

}  // namespace tool::batch
