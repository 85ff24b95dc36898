#pragma once
// A file that the batch writes: the job log, the report.
//
// Its name may lead to where standard output or standard error already go (`/dev/stdout`, or the
// file of a redirection). Opened a second time, it would be cut to nothing and written from the
// beginning, over what the commands have said. So then the stream itself is used.

#include <asyncio.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace batch {

class OutputFile {
public:
    enum class Begin : std::uint8_t { anew, behind_what_is_there };

    /// Throws: asyncio::OsError if the file cannot be written; `what` is what the error calls it.
    OutputFile(const std::string& path, Begin begin, const std::string& what);

    /// Standard output.
    OutputFile() noexcept;

    /// 0, or an errno. `patience` as `write_all`'s.
    int write(std::string_view text,
              std::optional<asyncio::Duration> patience = std::nullopt) const noexcept;

private:
    asyncio::lowlevel::Fd file_;
    int number_;
};

}  // namespace batch
