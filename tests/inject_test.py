#!/usr/bin/env python3
"""inject_test.py - every allocation of boot and run fails once: no crash, no leak

    inject_test.py TUXMM PROGRAM...

Each PROGRAM runs with the N-th failure point failing, and with the N-th and all
later ones, for N = 1, 2, 3 ... until none is left to fail.  The machine checks
itself at the end of each run, and that all its frames are free again.  Prints TAP.
"""
import concurrent.futures
import os
import re
import signal
import subprocess
import sys
import tempfile

# the program coped; its own failure; tuxmm's; cannot be run; the dynamic linker's; SIGBUS
# (a file's page could not be read); killed for want of memory; SIGSEGV (no stack, or execve
# failed after the old program was gone)
SANE = {0, 1, 125, 126, 127, 135, 137, 139}
CRASH = re.compile(r"broken rule|Sanitizer|runtime error|[Aa]ssertion|is lost")
TIMEOUT = 120


def run(tuxmm, program, fail):
    """Status, standard error, and whether a process was left behind."""
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TUXMM_CHECK": "1", "TUXMM_FAIL": fail,
           "UBSAN_OPTIONS": "halt_on_error=1"}
    with tempfile.TemporaryDirectory(prefix="tuxmm-test.") as where:
        task = subprocess.Popen([tuxmm, "run", "--ram", "32M", "--"] + program, env=env,
                                cwd=where, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, start_new_session=True)
        try:
            text = task.communicate(timeout=TIMEOUT)[1].decode(errors="replace")
        except subprocess.TimeoutExpired:
            os.killpg(task.pid, signal.SIGKILL)
            return None, "did not end in %d s" % TIMEOUT, False
    try:
        os.killpg(task.pid, 0)
        left = True
    except ProcessLookupError:
        left = False
    return task.returncode, text, left


def problem(status, text, left):
    """None when the run was sane."""
    # not what the machine logs ("<3> ..."): data that could not be written back
    ours = [line for line in text.splitlines() if re.match("tuxmm: (?!<)", line)
            and "failure points were passed" not in line]
    if status not in SANE:
        return "status %s" % status
    if CRASH.search(text):
        return "a rule was broken"
    if left:
        return "a process is left"
    if status in (125, 126, 135, 137, 139) and len(ours) != 1:
        return "status %d and %d lines of ours" % (status, len(ours))
    if status in (0, 1, 127) and ours:
        return "status %d, yet we complain" % status
    return None


def points(tuxmm, program):
    """How many failure points a run passes when none fails."""
    status, text, _ = run(tuxmm, program, "100000000")
    found = re.search(r"^tuxmm: (\d+) failure points were passed, none", text, re.M)
    if status != 0 or not found:
        raise SystemExit("Bail out! %s does not run: %s" % (program[0], text))
    return int(found.group(1))


def fail_each(tuxmm, program, suffix):
    """(failure points reached, first problems)"""
    n, problems, seen = 1, [], {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        while True:
            part = range(n, n + 64)
            fails = ["%d%s" % (i, suffix) for i in part]
            for fail, result in zip(fails, pool.map(lambda f: run(tuxmm, program, f), fails)):
                if "none made to fail" in result[1]:
                    return n - 1, problems, seen
                why = problem(*result)
                if why:
                    problems.append("TUXMM_FAIL=%s: %s: %s" % (fail, why, result[1][-400:]))
                seen[result[0]] = seen.get(result[0], 0) + 1
                n += 1


def main():
    tuxmm = os.path.abspath(sys.argv[1])
    number = failed = 0
    for name in sys.argv[2:]:
        program = [os.path.abspath(name)]
        least = points(tuxmm, program)
        for suffix, how in (("", "alone"), ("+", "and all later ones")):
            number += 1
            reached, problems, seen = fail_each(tuxmm, program, suffix)
            if suffix == "" and reached < least:
                problems.append("%d points reached, %d passed by an undisturbed run" %
                                (reached, least))
            failed += bool(problems)
            print("%s %d - %s: each of %d failure points %s" %
                  ("not ok" if problems else "ok", number, os.path.basename(name), reached, how))
            print("# statuses: " + ", ".join("%s x%d" % item for item in sorted(seen.items())))
            for line in problems[:5]:
                print("# " + line.replace("\n", "\n#   "), flush=True)
    print("1..%d" % number)
    return 1 if failed else 0


sys.exit(main())
