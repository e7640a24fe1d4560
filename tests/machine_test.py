#!/usr/bin/env python3
"""machine_test.py - presets as 'tuxmm machine show' prints them, and programs on them

    machine_test.py TUXMM [--update]

The text of each preset is kept in tests/machines; --update writes it anew.  Numbers
that depend on how much the core keeps for itself are '#' there: they are checked
against each other and against the JSON instead.  Prints TAP.
"""
import difflib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

TUXMM = os.path.abspath(sys.argv[1])
KEPT = pathlib.Path(__file__).resolve().parent / "machines"
BUSYBOX = "/bin/busybox" if os.path.exists("/bin/busybox") else "/usr/bin/busybox"


def run(*arguments):
    return subprocess.run([TUXMM, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=60, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"})


def need(truth, what):
    if not truth:
        raise AssertionError(what)


def text_of(name):
    done = run("machine", "show", name)
    need(done.returncode == 0 and done.stderr == b"", done.stderr.decode())
    return done.stdout.decode()


def masked(text):
    """Without what is free or managed, and what follows from that."""
    out = []
    for line in text.splitlines():
        if re.match(r" +(pages free|min|low|high|promo|managed|protection:) ", line) or \
                re.match(r"Node \d+, zone +\w+ +\d", line) or \
                re.match(r"(Memory:|Built )", line):
            head, tail = re.match(r"(Node \d+,)?(.*)", line).groups()
            tail = re.sub(r"(?<=[ (])\d+", "#", re.sub(r" +(?=\d)", " ", tail))
            line = (head or "") + tail
        out.append(line)
    return "\n".join(out) + "\n"


def same_text(name):
    path = KEPT / (name + ".txt")
    shown = masked(text_of(name))
    if "--update" in sys.argv:
        path.write_text(shown)
    kept = path.read_text()
    need(kept == shown, "\n".join(difflib.unified_diff(kept.splitlines(), shown.splitlines(),
                                                       "kept", "shown", lineterm="")))


def numbers(text, pattern):
    return [int(number) for number in re.findall(pattern, text, re.M)]


def sums(name):
    """Rows of the text add up, and the JSON says the same."""
    text = text_of(name)
    done = run("machine", "show", name, "--json")
    report = json.loads(done.stdout)
    zones = report["zones"]
    need(done.returncode == 0 and report["format"] == "tuxmm-machine/1", done.stderr)
    available, present = map(int, re.search(r"^Memory: (\d+)K/(\d+)K", text, re.M).groups())
    free = numbers(text, r"^  pages free +(\d+)$")
    need(4 * sum(numbers(text, r"^        present +(\d+)$")) == present, "present")
    need(4 * sum(free) <= available, "free")
    need(sum(zone["present_bytes"] for zone in zones) == present * 1024, "JSON: present")
    need(sum(zone["free_bytes"] for zone in zones) == available * 1024, "JSON: free")
    need(report["ram_bytes"] == present * 1024, "JSON: RAM")
    runs = 0
    for line in re.findall(r"^Node \d+, zone +\w+ +(\d[\d ]*)$", text, re.M):
        runs += sum(int(n) << order for order, n in enumerate(line.split()))
    need(runs == sum(free), "buddyinfo has %d of %d" % (runs, sum(free)))
    for zone in zones:
        need(zone["min_bytes"] < zone["low_bytes"] < zone["high_bytes"] < zone["present_bytes"],
             "watermarks of " + zone["name"])
    need(sorted(cpu for node in report["nodes"] for cpu in node["cpus"]) ==
         list(range(report["cpus"])), "CPUs")
    used = [model for model in report["memory_models"] if model["used"]]
    need(len(used) == 1 and used[0]["entries"] - used[0]["hole_entries"] == present // 4, used)
    areas = ["cma: Reserved %d MiB at 0x%016x for %s" %
             (area["bytes"] >> 20, area["start"], area["name"]) for area in report["cma_areas"]]
    need(areas == re.findall(r"^cma: .*$", text, re.M), "CMA areas")
    cma_pages = sum(map(int, re.findall(r"^        cma +(\d+)$", text, re.M)))
    need(4096 * cma_pages == sum(area["bytes"] for area in report["cma_areas"]), "cma of zones")
    need(sum(numbers(text, r": (\d+) pages in unavailable")) <= used[0]["hole_entries"], "holes")


def listed():
    lines = run("machine", "list").stdout.decode().splitlines()
    names = [line.split()[0] for line in lines]
    need(names == ["desktop", "server-numa", "i386-highmem", "embedded-cma", "tiny"], names)
    need(all(len(line) <= 80 and len(line.split()) > 2 for line in lines), lines)


def limits():
    """mem= takes the lowest; the firmware's map stays as it is."""
    pathlib.Path("mem.ini").write_text("[machine]\nram = 64M\nmem = 32M\n")
    text = text_of("mem.ini")
    need(text.count("BIOS-e820") == 5 and "\nuser-defined physical RAM map:\nuser: " in text, text)
    need("user: [mem 0x0000000000100000-0x0000000002060fff] usable\n" in text, text)
    need(re.search(r"^Memory: \d+K/32768K available", text, re.M), text)


def programs():
    pathlib.Path("board.ini").write_text("[machine]\ncpus = 2\n[memory dram]\nstart = 1G\n"
                                         "size = 96M\n")
    pathlib.Path("long.ini").write_text("[machine]\nram = 2G\nmax-order = 14\n")
    done = run("run", "--machine", "long.ini", "--", BUSYBOX, "true")
    need(b"(free runs of 4 KiB to 64 MiB)" in done.stderr, done.stderr)
    for machine in ("desktop", "server-numa", "board.ini"):
        done = run("run", "--machine", machine, "--", BUSYBOX, "echo", "on", "it")
        need(done.returncode == 0 and done.stdout == b"on it\n", done.stderr)
        need("tuxmm run --machine %s --proc" % machine in done.stderr.decode(), done.stderr)
    need(b"on a machine of 96 MiB" in done.stderr, done.stderr)
    for machine, nodes in (("desktop", 1), ("server-numa", 4)):
        done = run("run", "-q", "--machine", machine, "--", BUSYBOX, "cat", "/proc/zoneinfo")
        text = done.stdout.decode()
        need(len(set(re.findall(r"^Node (\d+)", text, re.M))) == nodes, text[:300])
        # counts of the machine are no node's where there are several
        need(text.count("per-node stats") == (nodes == 1), text[:300])
    done = run("run", "--machine", "board.ini", "--ram", "64M", "--", BUSYBOX, "true")
    need(done.returncode == 0 and b"on a machine of 64 MiB" in done.stderr, done.stderr)
    need(b"next        tuxmm run --machine board.ini --ram 64M" in done.stderr, done.stderr)


def main():
    cases = [("listed", listed), ("limits", limits), ("programs", programs)]
    for name in sorted(path.stem for path in KEPT.glob("*.txt")):
        cases.append(("text of " + name, lambda name=name: same_text(name)))
        cases.append(("sums of " + name, lambda name=name: sums(name)))
    failed = 0
    with tempfile.TemporaryDirectory(prefix="tuxmm-test.") as scratch:
        os.chdir(scratch)
        for number, (name, test) in enumerate(cases, 1):
            try:
                test()
                print("ok %d - %s" % (number, name), flush=True)
            except (AssertionError, subprocess.SubprocessError, OSError, ValueError, KeyError,
                    AttributeError) as problem:
                failed += 1
                print("not ok %d - %s" % (number, name))
                print("# " + str(problem).replace("\n", "\n# "), flush=True)
        os.chdir("/")
    print("1..%d" % len(cases))
    return 1 if failed else 0


sys.exit(main())
