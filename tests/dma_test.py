#!/usr/bin/env python3
"""dma_test.py - examples/dma prints the signals in their order, and moves what it says

	tests/dma_test.py PROGRAM
"""
import json
import subprocess
import sys

PROGRAM = sys.argv[1]
ORDER = ["DREQ", "HRQ", "HLDA", "DACK"]


def run(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=60)


def need(truth, what):
    if not truth:
        raise AssertionError(what)


def cases():
    done = run("--json")
    need(done.returncode == 0 and done.stderr == "", done.stderr)
    report = json.loads(done.stdout)
    need(report["format"] == "tuxmm-dma/1", "format")
    return {case["case"]: case for case in report["cases"]}


def rises(case, line):
    return [event["clock"] for event in case["signals"]
            if event["line"] == line and event.get("level")]


def order():
    """Each service rises DREQ, HRQ, HLDA, DACK and falls DACK, HRQ, HLDA."""
    for name in ("single", "block", "demand", "bounce"):
        lines = [(event["line"], event["level"]) for event in cases()[name]["signals"]
                 if event["line"] in ORDER]
        need(lines[0] == ("DREQ", True), name)
        wires = [line for line in lines if line[0] != "DREQ"]
        service = [("HRQ", True), ("HLDA", True), ("DACK", True), ("DACK", False),
                   ("HRQ", False), ("HLDA", False)]
        need(wires == service * (len(wires) // 6), name)


def modes():
    report = cases()
    need(len(rises(report["single"], "DACK")) == 16, "single: once for each byte")
    need(len(rises(report["block"], "DACK")) == 1, "block: once")
    need(1 < len(rises(report["demand"], "DACK")) <= 16, "demand: in between")
    for name in ("single", "block", "demand", "bounce"):
        signals = report[name]["signals"]
        need([event["line"] for event in signals].count("TC") == 1, name + ": TC")
        moved = bytes(event["byte"] for event in signals if event["line"] == "MEMW")
        taken = bytes(event["byte"] for event in signals if event["line"] == "IOR")
        need(moved == taken and len(moved) == 16, name + ": bytes")
        places = [event["address"] for event in signals if event["line"] == "MEMW"]
        need(places == list(range(report[name]["address"], report[name]["address"] + 16)),
             name + ": addresses")


def bounce():
    report = cases()
    need(report["bounce"]["buffer"] >= 1 << 24 > report["bounce"]["address"], "addresses")
    need(report["bounce"]["bounced"] == 1 and report["demand"]["bounced"] == 0, "counts")
    need(report["list"]["signals"] == [] and report["list"]["bytes"] == 3200, "bus master")


def words():
    done = run("single")
    need(done.returncode == 0, done.stderr)
    lines = done.stdout.splitlines()
    need(lines[0] == "single: the bus is given back after each byte", lines[0])
    need(any(line.split()[0] == "DACK2" and "/" in line for line in lines[2:]), "diagram")
    need(any("bytes more like that" in line for line in lines), "repeats are counted")


def mistakes():
    done = run("sinlge")
    need(done.returncode == 1 and "expected --json, single" in done.stderr, done.stderr)


def main():
    failed = 0
    tests = [order, modes, bounce, words, mistakes]
    for number, test in enumerate(tests, 1):
        try:
            test()
            print(f"ok {number} - {test.__name__}", flush=True)
        except (AssertionError, subprocess.SubprocessError, OSError, ValueError,
                KeyError) as problem:
            failed += 1
            print(f"not ok {number} - {test.__name__}\n# {problem}", flush=True)
    print(f"1..{len(tests)}")
    return 1 if failed else 0


sys.exit(main())
