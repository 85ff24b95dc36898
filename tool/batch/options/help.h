#pragma once
// The text below the options in `asyncio batch --help`. It is a single string, so that the source
// shows it as a user sees it.

namespace tool::batch {

inline constexpr const char* about_running =
    R"(Each command runs through `/bin/sh -c`, in its own process group, with /dev/null as its
input. What it writes is kept, much of it in a temporary file, and shown whole when it ends: its
output on standard output, its errors on standard error. The table, the time line and every remark
go to standard error.

Commands start as they come: from a pipe that stays open, too, and while more is being read. In
the input, empty lines and comments (`# ...`) are no commands; a line ends with LF or CR LF; a byte
order mark before the first is skipped. A NUL byte, a line of more than 1 MiB, or a quotation that
its line does not end is an error: no more commands are started then. With -0, what is read is taken
as it is, up to each NUL byte.

The shell reads such a line. Do not make lines from names of files (... | sed "s/.*/ls '&'/"): what
stands behind an apostrophe in a name would run. Give the names as values.

Values for a template, as GNU parallel has them:
  asyncio batch 'gzip -9 {}' ::: *.log             one command for each value
  asyncio batch 'gzip -9 {}' :::: names.txt        the values are the lines of a file, - for input
  find . -name '*.png' -print0 | asyncio batch -0 'optipng -- {}' :::: -
  asyncio batch 'convert {1} -resize {2} {1.}-{2}.jpg' ::: *.png ::: 200 400    each with each
  asyncio batch 'mv -- {1} {2}' :::: old.txt ::::+ new.txt        in step, up to the shortest
  {}   the value               {/}   without its folder     {#}   the command's number
  {.}  without extension       {//}  its folder             {%}   its place, 1 to --jobs
  {2}  of the second list      {/.}  {/} and {.}            \{}   no value: as it stands
Also {2.} and so on. With several lists {} is all of them; a template without a mark gets {} at its
end. Words before ::: are one template; options stand before it.

A value is one word, whatever bytes it has, and never read as a part of the command: write {}, not
'{}'. In quotation marks it becomes a part of the quoted text, which is safe, unless that text is
given to another shell: not sh -c 'ls {}', but sh -c 'ls "$1"' sh {}. A value that begins with a
dash may be an option of the program: that is what -- is for. An empty line is an empty value.

In the environment of a command:
  ASYNCIO_BATCH_SEQ    its number    ASYNCIO_BATCH_SLOT   its place
  ASYNCIO_BATCH_ARG_1  its value of the first list; _2 of the second, and so on
It inherits the descriptors that were left open for the batch, so a job server of make works.

A command has ended when its process has. What it leaves running in its process group is ended then.
What has left that group (`setsid`, a daemon) is ended with a command that reaches its limit, with a
try that is followed by another, and at the latest when the batch ends: nothing outlives a batch. A
command that asks the terminal for input is ended, and fails.

Examples:
  asyncio batch -j 0 -t 2 'sleep 1 && echo hello' 'sleep 1.5' 'echo world' 'sleep 500'
  asyncio batch -f commands.txt -j 8 -t 1m30s --retries 3 --joblog log
  asyncio batch -f commands.txt --joblog log --resume-failed
  find . -name '*.png' -print0 | asyncio batch --halt now,fail=1 -0 'optipng -- {}' :::: -

Exit status, as GNU parallel's:
  0        every command succeeded
  1-100    so many failed; a timeout is a failure
  101      more than 100 failed
  N        with --halt soon,fail=1 or now,fail=1: what the failing command exited with
  255      bad usage, an input that cannot be read, an output that cannot be written
  130 143  it died of Ctrl-C, of SIGTERM, after ending the commands (128 and the signal's number)
  141      it died of SIGPIPE: standard output was closed early, as by `| head -1`

Signals:
  INT TERM HUP  end the commands: SIGTERM, the grace, SIGKILL; so does every signal not named here
  QUIT          kill the commands at once, and so does the second of any of those signals
  USR1          list the commands that run, on standard error
  USR2          start no more commands, let those that run end
  TSTP CONT     Ctrl-Z stops the commands and the clocks of their limits; both go on with `fg`)";

}  // namespace tool::batch
