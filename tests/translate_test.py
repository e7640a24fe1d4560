#!/usr/bin/env python3
"""translate_test.py - tuxmm translate: its steps, its faults, its arguments

    translate_test.py TUXMM [--update]

Compares what it prints with tests/translate/GEOMETRY.txt, in which the frames of
tables are T0, T1, ... in order of appearance: where tables lie is the page
allocator's business.  --update writes those files.  Prints TAP.
"""
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

TUXMM = os.path.abspath(sys.argv[1])
GOLDEN = pathlib.Path(__file__).resolve().parent / "translate"

BOTH = ["0x08048010", "--access w 0x08048010", "--access x 0x08048010",
        "--access w --twice 0x08049123", "--access w 0x0804a000", "0x0804b000",
        "0x40012345", "0x50000000", "--kernel 0x08049000", "--kernel --access x 0x08048000",
        "--map 0x09000000=0x123000:4K:ru --access w 0x09000fff"]
SMALL = ["0xc0001000", "--kernel --access w 0xc0001000", "--selector 0x07 0x10",
         "--selector 0x07 0x1000", "--selector 0x0f --access w 0x08049000",
         "--selector 0x17 0x08049000", "--selector ss=0x1f 0", "--selector 0x1f 0",
         "--selector 0x68 0", "--selector cs=0x27 --access x 0x08048000", "--selector fs 0",
         "--selector gs 0x20", "--selector 0x80 0", "--selector ss=0x60 0"]
LARGE = ["0x7fffffffe008", "--kernel --access x 0xffffffff81000000",
         "0xffffffff81000000", "--selector fs 0x123", "--selector cs=0x23 --access x 0x08048000",
         "--selector ds=0 0x08049000", "--selector ss 0x1000000000000000"]
CASES = {
    "x86-32": BOTH + SMALL + ["--map 0x800000=0x400000:4M:rwxu 0xabcdef"],
    "pae": BOTH + SMALL + ["--access x 0x08049000", "--map 0x800000=0xf00000000:2M:rwxu 0x812345"],
    "x86-64": BOTH + LARGE + ["--kernel 0xffff888001234567", "--access x 0x7fffffffe000",
                              "0x800000000000", "--map 0x80000000=0x40000000:1G:ru 0x89abcdef"],
    "x86-64-la57": BOTH + LARGE + ["--kernel 0xff11000001234567", "0x800000000000",
                                   "0x100000000000000",
                                   "--map 0xfe000000000000=0x1000:4K:ru 0xfe000000000000"],
}

BAD = [
    ("", "no address: expected tuxmm translate"),
    ("0x1000 0x2000", "0x2000: expected one address alone"),
    ("here", "here: expected an address"),
    ("-- -1", "-1: expected an address"),
    ("0x10000000000000000", "expected an address"),
    ("--geometry arm 0", "--geometry arm: expected x86-32, pae, x86-64 or x86-64-la57"),
    ("--geometry pae 0x100000000", "expected an address of 32 bits"),
    ("--access rw 0", "--access rw: expected r, w or x"),
    ("--access '' 0", "expected r, w or x"),
    ("--selector 0x10000 0", "--selector 0x10000: expected a number of 16 bits"),
    ("--selector xs 0", "--selector xs: expected"),
    ("--selector ds= 0", "--selector ds=: expected"),
    ("--selector ds --access x 0", "expected cs"),
    ("--map 0x1000 0", "--map 0x1000: expected VA=PA"),
    ("--map 0x1000=z 0", "expected VA=PA"),
    ("--map 0x1000=0:4Q 0", "expected VA=PA"),
    ("--map 0x1000=0:4K:rq 0", "expected VA=PA"),
    ("--map 0x1000=0:4K:r:r 0", "expected VA=PA"),
    ("--map 0x1000=0:8K 0", "x86-64 has no such pages: expected 4K, 2M or 1G"),
    ("--geometry pae --map 0=0:4M 0", "pae has no such pages: expected 4K or 2M"),
    ("--geometry x86-32 --map 0=0:2M 0", "x86-32 has no such pages: expected 4K or 4M"),
    ("--map 0x1001=0 0", "multiples of the page's size"),
    ("--map 0x200000=0x1000:2M 0", "multiples of the page's size"),
    ("--map 0x8048000=0 0", "something is mapped there"),
    ("--map 0x40001000=0 0", "something is mapped there"),
    ("--map 0x800000000000=0 0", "expected a canonical address of 48 bits"),
    ("--map 0x1000=0x400000000000 0", "a physical one of 46"),
    ("--geometry", "--geometry: expected a value after it"),
    ("--twice=2 0", "--twice=2: expected no value"),
    ("--frob 0", "--frob: no such option"),
    ("-z 0", "-z: no such option"),
]


def run(text):
    return subprocess.run([TUXMM, "translate"] + shlex.split(text), capture_output=True,
                          text=True, timeout=30, stdin=subprocess.DEVNULL)


def need(truth, what):
    if not truth:
        raise AssertionError(what)


def name_tables(text):
    """Frames of tables as T0, T1, ..."""
    frames = re.findall(r"(?:CR3 |table +)0x0*([0-9a-f]+)000\b", text)
    for at, frame in enumerate(dict.fromkeys(frames)):
        text = re.sub(r"0x0*%s([0-9a-f]{3})\b" % frame, r"T%d:\1" % at, text)
    return text


def transcript(geometry):
    parts = []
    for case in CASES[geometry]:
        done = run("--geometry %s %s" % (geometry, case))
        need(done.stderr == "" and done.returncode in (0, 1), done)
        fault = "\nfault " in done.stdout.split("the second time")[-1]
        need(fault == (done.returncode == 1), (case, done.returncode))
        need(max(map(len, done.stdout.split("\n"))) <= 96, "wider than 96 columns: " + case)
        parts.append("$ %s\n%s" % (case, name_tables(done.stdout)))
    return "\n".join(parts)


def golden(geometry):
    path = GOLDEN / (geometry + ".txt")
    text = transcript(geometry)
    if "--update" in sys.argv:
        path.write_text(text)
    for wanted, found in zip(path.read_text().split("\n"), text.split("\n")):
        need(wanted == found, "expected %r, found %r" % (wanted, found))
    need(path.read_text() == text, "lengths differ")


def json_says_the_same(geometry):
    for case in CASES[geometry]:
        words = "--geometry %s %s" % (geometry, case)
        human, done = run(words).stdout, run(words + " --json")
        data = json.loads(done.stdout)
        need(data["format"] == "tuxmm-translate/1" and data["geometry"] == geometry, data)
        last = data["accesses"][-1]
        physical = re.findall(r"^physical (\S+)", human, re.M)
        need((last["fault"] is None) == (done.returncode == 0) == bool(physical), last)
        if physical:
            need(int(last["physical"], 16) == int(physical[-1], 16), last)
        else:
            vector = re.search(r"^fault +(#..)\(0x(\w+)\)", human, re.M)
            need(last["fault"]["vector"] == vector[1], last)
            need(last["fault"]["error"] == int(vector[2], 16), last)
        raws = re.findall(r"^  \w+ +at 0x\w+ +0x(\w+)", human, re.M)
        steps = [s for a in data["accesses"] for s in a.get("steps", [])]
        need([int(r, 16) for r in raws] == [int(s["before"], 16) for s in steps], steps)
        if "--twice" in case:
            need([a["tlb"] for a in data["accesses"]] == ["miss", "hit"], data)


def bad_arguments():
    for words, line in BAD:
        done = run(words)
        need(done.returncode == 125 and done.stdout == "", (words, done))
        need(done.stderr.startswith("tuxmm: translate: ") and done.stderr.count("\n") == 1,
             done.stderr)
        need(line in done.stderr, "%r does not say %r" % (done.stderr, line))


def help_text():
    done = run("--help")
    need(done.returncode == 0 and done.stderr == "", done)
    need(done.stdout.startswith("Usage: tuxmm translate"), done.stdout)
    need(max(map(len, done.stdout.split("\n"))) <= 80, "wider than 80 columns")


def full_output():
    with open("/dev/full", "w") as full:
        for words in (["0x8048000"], ["--json", "0x8048000"], ["--help"]):
            done = subprocess.run([TUXMM, "translate"] + words, stdout=full,
                                  stderr=subprocess.PIPE)
            need(done.returncode == 125, words)


def main():
    tests = [("golden %s" % g, lambda g=g: golden(g)) for g in CASES]
    tests += [("json %s" % g, lambda g=g: json_says_the_same(g)) for g in CASES]
    tests += [("bad arguments", bad_arguments), ("help", help_text), ("full output", full_output)]
    failed = 0
    for at, (name, test) in enumerate(tests, 1):
        try:
            test()
            print("ok %d - %s" % (at, name))
        except AssertionError as error:
            failed += 1
            print("# %s" % (error,))
            print("not ok %d - %s" % (at, name))
    print("1..%d" % len(tests))
    return failed != 0


sys.exit(main())
