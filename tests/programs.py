#!/usr/bin/env python3
"""programs.py - small programs see on the machine what they see natively

    programs.py TUXMM PROGRAM...

PROGRAMs are the files of tests/programs, compiled in several ways.  Each runs
natively and on the machine; output and exit status must be equal, and no promise
may have been broken ("NO : ...").  Prints TAP.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

DEATHS = ["null", "jump", "text", "far", "abort", "divide", "illegal", "trap", "bus",
          "pipe", "blocked", "term", "exit"]
TIMEOUT = 60


def run(command, directory):
    """Exit status as a shell has it, and standard output."""
    done = subprocess.run(command, cwd=directory, stdin=subprocess.DEVNULL, timeout=TIMEOUT,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    status = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return status, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def compare(tuxmm, program, args):
    """None, or what is different."""
    # a static program of a small libc has room in 1 MiB
    fits = pathlib.Path(program).name in ("arguments-musl", "files-musl")
    machine = [tuxmm, "run"] + (["--machine", "tiny"] if fits else ["--ram", "64M"]) + ["--"]
    # what cannot be done yet is not what happens natively
    native_is_model = not pathlib.Path(program).name.startswith("forks")
    with tempfile.TemporaryDirectory() as directory:
        got = run(machine + [program] + args, directory)
        left = os.listdir(directory)
    if native_is_model:
        with tempfile.TemporaryDirectory() as directory:
            want = run([program] + args, directory)
            left_natively = os.listdir(directory)
    else:
        want, left_natively = (0, got[1], ""), left
    broken = [line for line in got[1].splitlines() if line.startswith("NO ")]
    if broken:
        return broken[0]
    if got[0] != want[0]:
        return f"status {got[0]}, natively {want[0]}: {got[2][:300]!r}"
    if got[1] != want[1]:
        return f"output {got[1][:300]!r}, natively {want[1][:300]!r}"
    if sorted(left) != sorted(left_natively):
        return f"left {left} behind, natively {left_natively}"
    if not native_is_model and "fork" not in got[2] and "clone" not in got[2]:
        return f"the summary does not name what could not be done: {got[2]!r}"
    return None


def main():
    tuxmm = os.path.abspath(sys.argv[1])
    number = failed = 0
    for program in map(os.path.abspath, sys.argv[2:]):
        name = os.path.basename(program)
        ways = [[how] for how in DEATHS] if name.startswith("die") else [["one", "two words"]]
        for args in ways:
            number += 1
            try:
                why = compare(tuxmm, program, args)
            except subprocess.TimeoutExpired:
                why = f"did not end within {TIMEOUT} s"
            failed += why is not None
            print(f"{'not ok' if why else 'ok'} {number} - {name} {args[0]}")
            if why:
                print("# " + why)
    print(f"1..{number}")
    return 1 if failed else 0


sys.exit(main())
