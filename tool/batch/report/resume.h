#pragma once
// The commands that the job log lists as done. `--resume` skips them.
//
// A command is recognised by its number alone, as in GNU parallel. Its text may contain the number
// of a workplace, which differs from run to run, so a comparison of texts would run such commands
// again.

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

namespace tool::batch {

class Resume {
public:
    /// Which commands of the log run again: those whose last run failed, or none.
    enum class Again : std::uint8_t { none, failed };

    /// Nothing was done before.
    Resume() = default;

    /// Reads the log at `path`. A log that does not exist yet lists nothing.
    /// Throws: `asyncio::OsError` if the file exists and cannot be read.
    Resume(const std::string& path, Again again);

    /// The text of the command that was done under this number; null if the command must run.
    const std::string* done(std::size_t number) const;

private:
    /// By number. The text is kept for the remark about a changed input (`Runner::was_done`).
    std::unordered_map<std::size_t, std::string> done_;
};

}  // namespace tool::batch
