#!/usr/bin/env python3
"""Measures echo servers beside the least that a server can do on epoll and on io_uring.

usage: bench/limits/echo_limits.py [echo|idle|short|emfile|instructions] [options]; see --help.

  echo    processor time of the server per message, and its ratio to the better raw server
  idle    memory per idle connection, before and after each of them has been used
  short   many connections that exchange one message each: memory and descriptors over time
  emfile  more connections than the server has descriptors: service kept and recovered
  instructions
          instructions per message outside the kernel, by function (needs valgrind)

Each measurement prints a line of JSON, and at the end a table. bench/README.md says how each figure
is made.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import time

import instructions
import servers
from clients import Failed, Held, Load, OutOfTime

ROOT = pathlib.Path(__file__).resolve().parents[2]


def show(**figures):
    print(json.dumps(figures), flush=True)


def each_server(what, load, commands, measure, size, options, **limits):
    """Starts and measures one server after another. Shows the figures and yields them."""
    for name, command in commands.items():
        try:
            load.left()
            with servers.Server(name, command, servers.buffer_for(size), options.server_processor,
                                **limits) as server:
                figures = measure(load, server)
        except Failed as failure:
            show(what=what, server=name, failed=str(failure))
            continue
        except OutOfTime:
            print("# the time is over", flush=True)
            return
        show(what=what, server=name, **figures)
        yield name, figures


def print_figures(results):
    """Prints the figures of servers, which all have the same names."""
    if results:
        print()
        print_table(["server", *results[0][1]],
                    [(name, *figures.values()) for name, figures in results])


def print_table(titles, rows):
    rows = [titles] + [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(titles))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


# ------------------------------------------------------------------------------------------- echo

# The least time to measure for, in seconds per connection: many connections must each have several
# turns.
PER_CONNECTION = 0.0002


def measure_rounds(load, running, connections, size, options):
    """Measures each server once per round, each round in another order. Returns whole rounds."""
    rounds = []
    failed = set()
    try:
        for number in range(options.rounds):
            place = number % len(running)
            figures = {}
            for server in running[place:] + running[:place]:
                if server.name in failed:
                    continue
                try:
                    figures[server.name] = load.run(
                        "echo", server, connections=connections, bytes=size,
                        seconds=max(options.seconds, connections * PER_CONNECTION),
                        warm_up=max(options.warm_up, connections * PER_CONNECTION / 2))
                except Failed as failure:
                    failed.add(server.name)
                    show(what="echo", server=server.name, connections=connections, bytes=size,
                         failed=str(failure))
            rounds.append(figures)
    except OutOfTime:
        print(f"# the time is over: {len(rounds)} of {options.rounds} rounds", flush=True)
    return [{name: one for name, one in figures.items() if name not in failed}
            for figures in rounds]


def summary_of(name, rounds):
    costs = [figures[name]["cpu_ns"] for figures in rounds]
    median = statistics.median(costs)
    return {
        "cpu_ns": round(median, 1),
        "best_ns": round(min(costs), 1),
        "spread": round((max(costs) - min(costs)) / median, 3),
        "per_second": round(statistics.median(figures[name]["per_second"] for figures in rounds)),
        "p50_us": round(statistics.median(figures[name]["p50_us"] for figures in rounds), 1),
        "p99_us": round(statistics.median(figures[name]["p99_us"] for figures in rounds), 1),
    }


def add_ratios(summaries, rounds):
    raw = [name for name in summaries if servers.is_raw(name)]
    if not raw:
        return
    limit = min(raw, key=lambda name: summaries[name]["cpu_ns"])
    for name, summary in summaries.items():
        pairs = [figures[name]["cpu_ns"] / figures[limit]["cpu_ns"] for figures in rounds]
        summary["limit"] = limit
        summary["ratio"] = round(summary["cpu_ns"] / summaries[limit]["cpu_ns"], 3)
        summary["ratios"] = [round(min(pairs), 3), round(max(pairs), 3)]


def echo_at(load, commands, connections, size, options):
    with servers.running(commands, servers.buffer_for(size), options.server_processor) as running:
        rounds = measure_rounds(load, running, connections, size, options)
    if not rounds:
        return {}
    summaries = {name: summary_of(name, rounds) for name in rounds[0]}
    add_ratios(summaries, rounds)
    for name, summary in summaries.items():
        show(what="echo", server=name, connections=connections, bytes=size, rounds=len(rounds),
             cores=options.cores, **summary)
    return summaries


def print_flatness(results, options):
    """How the cost of a message grows with the number of connections."""
    few, many = min(options.connections), max(options.connections)
    if few == many:
        return
    print(f"\ncost of a message at {many} connections, as a multiple of the cost at {few}, and of "
          "the least cost")
    rows = []
    for size in options.sizes:
        for name in next(iter(results.values())):
            costs = {connections: summaries[name]["cpu_ns"]
                     for (connections, bytes_), summaries in results.items()
                     if bytes_ == size and name in summaries}
            if few in costs and many in costs:
                rows.append((size, name, f"{costs[many] / costs[few]:.2f}",
                             f"{costs[many] / min(costs.values()):.2f}"))
    print_table(["bytes", "server", f"to {few}", "to the least"], rows)


def echo(load, commands, options):
    results = {}
    for size in options.sizes:
        for connections in options.connections:
            summaries = echo_at(load, commands, connections, size, options)
            if summaries:
                results[connections, size] = summaries
    rows = []
    for (connections, size), summaries in results.items():
        for name, one in summaries.items():
            low, high = one.get("ratios", ("", ""))
            rows.append((size, connections, name, f"{one['cpu_ns']:.0f}",
                         f"{one['spread'] * 100:.0f} %", one.get("ratio", ""), f"{low}-{high}",
                         one["per_second"], one["p50_us"], one["p99_us"]))
    print()
    print_table(["bytes", "connections", "server", "ns/message", "spread", "ratio", "in rounds",
                 "messages/s", "p50 us", "p99 us"], rows)
    if results:
        print_flatness(results, options)


# ------------------------------------------------------------------------------------------- idle

def use_and_leave(load, server, size):
    """Lets the server do everything once that it does at its first connection only."""
    with load.start("hold", server, connections=4, bytes=size) as process:
        Held(process, server).say("use 5")
    time.sleep(0.2)


def idle_once(load, server, connections, size):
    use_and_leave(load, server, size)
    before = server.memory()
    with load.start("hold", server, connections=connections, bytes=size) as process:
        held = Held(process, server)
        idle = server.memory()
        start = server.processor_seconds()
        time.sleep(1)
        waiting = server.processor_seconds() - start
        answered = held.say("use 20")["answered"]
        used = server.memory()
        descriptors = server.descriptors()
    time.sleep(1)
    return {
        "idle_bytes": round((idle - before) / connections),
        "used_bytes": round((used - before) / connections),
        "left_bytes": round((server.memory() - before) / connections),
        "base_bytes": before,
        "idle_cpu_ms": round(waiting * 1000, 2),
        "answered": answered,
        "descriptors": descriptors,
        "left_descriptors": server.descriptors(),
    }


def idle(load, commands, options):
    connections, size = max(options.connections), options.sizes[0]
    results = {name: [] for name in commands}
    for _ in range(options.rounds):
        for name, figures in each_server(
                "idle", load, commands,
                lambda load, server: idle_once(load, server, connections, size), size, options):
            results[name].append(figures)
    print(f"\nmedians; bytes are per connection, of {connections}")
    keys = ["idle_bytes", "used_bytes", "left_bytes", "base_bytes", "idle_cpu_ms", "answered"]
    print_table(["server", *keys],
                [[name, *(statistics.median(one[key] for one in figures) for key in keys)]
                 for name, figures in results.items() if figures])


# ------------------------------------------------------------------------------------------ short

def short_one(load, server, options):
    """Looks at the server each second while the clients come and go."""
    use_and_leave(load, server, options.sizes[0])
    looks = [(server.memory(), server.descriptors())]
    start = server.processor_seconds()
    words = {"connections": min(max(options.connections), 64), "bytes": options.sizes[0],
             "count": options.count, "seconds": min(load.left(), 120)}
    with load.start("short", server, **words) as process:
        while process.poll() is None:
            time.sleep(1)
            looks.append((server.memory(), server.descriptors()))
        figures = json.loads(process.stdout.read())
    time.sleep(0.5)
    taken = server.processor_seconds() - start
    after = (server.memory(), server.descriptors())
    return {
        "served": figures["messages"], "per_second": figures["per_second"],
        "cpu_us": round(taken / max(figures["messages"], 1) * 1e6, 2),
        "memory_before": looks[0][0], "memory_most": max(look[0] for look in looks),
        "memory_after": after[0], "descriptors_before": looks[0][1],
        "descriptors_most": max(look[1] for look in looks), "descriptors_after": after[1],
    }


def short(load, commands, options):
    print_figures(list(each_server(
        "short", load, commands, lambda load, server: short_one(load, server, options),
        options.sizes[0], options)))


# ----------------------------------------------------------------------------------------- emfile

def emfile_one(load, server):
    """100 clients of a server that may have 64 descriptors."""
    with load.start("hold", server, connections=100, bytes=64) as process:
        held = Held(process, server)
        served = held.say("use 1")["answered"]
        start = server.processor_seconds()
        time.sleep(2)
        waiting = server.processor_seconds() - start
        kept = held.say("use 1")["answered"]
        still_open = held.say("close 60")["open"]
        recovered = held.say("use 10")["answered"]
    return {
        "served": served, "kept": kept, "waiting_cpu_ms": round(waiting * 1000, 2),
        "recovered": recovered, "of": still_open, "errors_bytes": len(server.errors()),
        "good": 0 < kept < 100 and recovered == still_open,
    }


def emfile(load, commands, options):
    # The raw servers do the least, and no plan for this is part of it.
    commands = {name: command for name, command in commands.items() if not servers.is_raw(name)}
    print_figures(list(each_server("emfile", load, commands, emfile_one, 64, options,
                                   descriptors=64)))


# ----------------------------------------------------------------------------------- instructions

def count_instructions(load, commands, options):
    if not instructions.available():
        sys.exit("valgrind is not installed")
    connections = options.connections[0]
    for size in options.sizes:
        for name, command in commands.items():
            try:
                load.left()
                found = instructions.per_message(load, name, command, connections, size,
                                                 options.server_processor)
            except Failed as failure:
                show(what="instructions", server=name, failed=str(failure))
                continue
            show(what="instructions", server=name, connections=connections, bytes=size,
                 per_message=round(sum(found.values())))
            largest = sorted(found.items(), key=lambda item: -item[1])[:options.rows]
            print_table(["instructions", "function"],
                        [(f"{count:.0f}", function) for function, count in largest])


# ---------------------------------------------------------------------------------------- options

def numbers(text):
    return [int(word) for word in text.split(",")]


def read_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", nargs="?", default="echo",
                        choices=["echo", "idle", "short", "emfile", "instructions"])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release/bench/limits",
                        help="the folder of the programs (%(default)s)")
    parser.add_argument("--servers", default=",".join(servers.SERVERS),
                        help="names, with commas between them (%(default)s)")
    parser.add_argument("--connections", type=numbers, default=[1, 50, 500, 5000])
    parser.add_argument("--sizes", type=numbers, default=[64, 16384], help="bytes of a message")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each measurement (0.3)")
    parser.add_argument("--warm-up", type=float, default=0.1, help="seconds before it (0.1)")
    parser.add_argument("--count", type=int, default=20_000, help="of short connections (20000)")
    parser.add_argument("--limit", type=float, default=60,
                        help="seconds after which no further measurement begins (60)")
    parser.add_argument("--rows", type=int, default=30, help="of functions in a table (30)")
    parser.add_argument("--cores", choices=["together", "apart", "free"], default="together",
                        help="server and clients on one core, on two, or anywhere (together)")
    options = parser.parse_args()
    unknown = set(options.servers.split(",")) - set(servers.SERVERS)
    if unknown:
        parser.error(f"unknown servers: {', '.join(sorted(unknown))}")
    cores = sorted(os.sched_getaffinity(0))
    options.server_processor = None if options.cores == "free" else cores[-1]
    options.load_processor = None if options.cores == "free" else cores[-1]
    if options.cores == "apart":
        options.load_processor = cores[0]
    return options


def main():
    options = read_options()
    if not (options.build / "load").exists():
        sys.exit(f"{options.build}/load is not built: build the target echo_servers")
    commands = servers.available(options.servers.split(","), options.build)
    if commands:
        work = {"echo": echo, "idle": idle, "short": short, "emfile": emfile,
                "instructions": count_instructions}[options.what]
        work(Load(options), commands, options)


if __name__ == "__main__":
    main()
