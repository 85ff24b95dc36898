#pragma once
// The text below the options in `asyncio batch --help`. It is a single string, so that the source
// shows it as a user sees it.

namespace tool::batch {

inline constexpr const char* about_running =
    R"(Each command runs through `/bin/sh -c`, in its own process group, with /dev/null as its
input. The output of a command is stored, in a temporary file if it is large, and shown whole when
the command ends: its output on standard output, its errors on standard error. The table, the time
line and all remarks go to standard error.

A command starts as soon as it has been read, also from a pipe that stays open. In the input, empty
lines and comments (`# ...`) are skipped. A line ends with LF or CR LF. A byte order mark at the
beginning is skipped. A NUL byte, a line of more than 1 MiB, or a quotation that does not end in its
line is an error: then no more commands are started. With -0, every byte up to the next NUL byte
belongs to the command.

The shell reads each line. Do not make lines from file names (... | sed "s/.*/ls '&'/"): after an
apostrophe in a name, the shell would run the rest of the name. Give the names as values.

Values for a template, as in GNU parallel:
  asyncio batch 'gzip -9 {}' ::: *.log             one command for each value
  asyncio batch 'gzip -9 {}' :::: names.txt        one value per line of a file; - is the input
  find . -name '*.png' -print0 | asyncio batch -0 'optipng -- {}' :::: -
  asyncio batch 'convert {1} -resize {2} {1.}-{2}.jpg' ::: *.png ::: 200 400    all combinations
  asyncio batch 'mv -- {1} {2}' :::: old.txt ::::+ new.txt        pairs, up to the shortest list
  {}   the value               {/}   without its folder     {#}   the number of the command
  {.}  without extension       {//}  its folder             {%}   its slot, 1 to --jobs
  {2}  of the second list      {/.}  {/} and {.}            \{}   the text {}, no value
Also {2.} and so on. With several lists, {} stands for all values of the command. If a template has
no mark, {} is added at its end. The words before ::: are one template. Options stand before it.

A value is always one word, whatever bytes it has, and the shell never runs it: write {}, not '{}'.
In quotation marks the value becomes a part of the quoted text. This is safe, unless another shell
reads that text: not sh -c 'ls {}', but sh -c 'ls "$1"' sh {}. A program may take a value that
begins with a dash for an option: write -- before it. An empty line is an empty value.

In the environment of a command:
  ASYNCIO_BATCH_SEQ    its number    ASYNCIO_BATCH_SLOT   its slot
  ASYNCIO_BATCH_ARG_1  its value of the first list; _2 of the second, and so on
A command inherits the descriptors that the batch has inherited, so a job server of make works.

A command has ended when its process has ended. The rest of its process group is ended then. A
process that has left the group (`setsid`, a daemon) is ended when its command reaches the limit,
before the next try of its command, or at the end of the batch: no process is left after a batch. A
command that asks the terminal for input is ended and counts as failed.

Examples:
  asyncio batch -j 0 -t 2 'sleep 1 && echo hello' 'sleep 1.5' 'echo world' 'sleep 500'
  asyncio batch -f commands.txt -j 8 -t 1m30s --retries 3 --joblog log
  asyncio batch -f commands.txt --joblog log --resume-failed
  find . -name '*.png' -print0 | asyncio batch --halt now,fail=1 -0 'optipng -- {}' :::: -

Exit status, as in GNU parallel:
  0        every command succeeded
  1-100    the number of failed commands; a timeout is a failure
  101      more than 100 commands failed
  N        with --halt soon,fail=1 or now,fail=1: the exit status of the failed command
  255      wrong usage, an input that cannot be read, an output that cannot be written
  130 143  ended by Ctrl-C or SIGTERM, after the commands were ended (128 + the signal's number)
  141      ended by SIGPIPE: standard output was closed early, as by `| head -1`

Signals:
  INT TERM HUP  end the commands: SIGTERM, the grace, SIGKILL; the same for all signals not listed
  QUIT          kill the commands at once; the second of any of these signals does the same
  USR1          list the running commands on standard error
  USR2          start no more commands, let the running commands end
  TSTP CONT     Ctrl-Z stops the commands and the clocks of their limits; `fg` continues both)";

}  // namespace tool::batch
