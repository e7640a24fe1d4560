#!/usr/bin/env python3
"""cmd_test.py - the command's arguments, messages, outputs and exit statuses

    cmd_test.py TUXMM [NAME...]

Prints TAP.
"""
import json
import os
import pathlib
import pty
import re
import subprocess
import sys
import tempfile

BUSYBOX = "/bin/busybox" if os.path.exists("/bin/busybox") else "/usr/bin/busybox"
TUXMM = os.path.abspath(sys.argv[1])
ESCAPE = "\x1b]0;owned\x07"

# name, arguments, environment, status, what the one line on standard error says
BAD = [
    ("no command", [], {}, 125, "expected run, machine, translate or doctor"),
    ("unknown command", ["frob"], {}, 125, "frob: no such command: expected run, machine, translate or doctor"),
    ("no program", ["run"], {}, 125, "expected tuxmm run .* PROGRAM"),
    ("no program after --", ["run", "--ram", "64M", "--"], {}, 125, "no program is named"),
    ("unknown option", ["run", "--frob", "x"], {}, 125, "--frob: no such option"),
    ("unknown letter", ["run", "-z", "x"], {}, 125, "-z: no such option"),
    ("unknown letter of two", ["run", "-qz", "x"], {}, 125, "-z: no such option"),
    ("value missing", ["run", "--ram"], {}, 125, "--ram: expected a value"),
    ("value too much", ["run", "--quiet=1", "x"], {}, 125, "--quiet=1: expected no value"),
    ("size: unit", ["run", "--ram", "64X", "x"], {}, 125, "--ram 64X: expected a size such as"),
    ("size: fraction", ["run", "--ram", "1.5G", "x"], {}, 125, "--ram 1.5G: expected a size"),
    ("size: sign", ["run", "--ram", "-64M", "x"], {}, 125, "--ram -64M: expected a size"),
    ("size: blank", ["run", "--ram", " 64M", "x"], {}, 125, "--ram  64M: expected a size"),
    ("size: empty", ["run", "--ram", "", "x"], {}, 125, "expected a size"),
    ("size: bits", ["run", "--ram", "99999999999999999999", "x"], {}, 125, "expected a size"),
    ("size: shift", ["run", "--ram", "99999999999T", "x"], {}, 125, "expected a size"),
    ("size: half unit", ["run", "--ram", "64Mi", "x"], {}, 125, "expected a size"),
    ("RAM: none", ["run", "--ram", "0", "x"], {}, 125, r"the least that works is \d+[KM]$"),
    ("RAM: too little", ["run", "--ram", "64K", "x"], {}, 125, r"the least that works is \d+[KM]$"),
    ("RAM: too much", ["run", "--ram", "100000G", "x"], {}, 125, "more than a machine can have"),
    ("seed", ["run", "--seed", "0xyz", "x"], {}, 125, "--seed 0xyz: expected a number"),
    ("slab debug", ["run", "--slab-debug", "FX", "x"], {}, 125,
     "--slab-debug FX: slab_debug has a letter that is none of"),
    ("timeout: text", ["run", "--timeout", "soon", "x"], {}, 125, "--timeout soon: expected seconds"),
    ("timeout: none", ["run", "--timeout", "0", "x"], {}, 125, "expected seconds above 0"),
    ("timeout: nan", ["run", "--timeout", "nan", "x"], {}, 125, "expected seconds"),
    ("proc: a file", ["run", "--proc", "plain", "x"], {}, 125, "plain: expected a directory"),
    ("proc: no parent", ["run", "--proc", "no/such", "x"], {}, 125, "no/such: expected a directory"),
    ("json: no parent", ["run", "--json", "no/such", "x"], {}, 125, "no/such: cannot be written"),
    ("injection", ["run", "x"], {"TUXMM_FAIL": "many"}, 125, "TUXMM_FAIL=many: expected a number"),
    ("doctor: argument", ["doctor", "now"], {}, 125, "doctor: now: expected --json"),
    ("machine: no word", ["machine"], {}, 125, "expected show or list"),
    ("machine: word", ["machine", "frob"], {}, 125, "machine: frob: expected show or list"),
    ("machine: more", ["machine", "list", "x"], {}, 125, "machine: x: expected"),
    ("show: no shape", ["machine", "show"], {}, 125, "expected a preset or a machine file"),
    ("show: two", ["machine", "show", "tiny", "x"], {}, 125, "x: expected one SHAPE"),
    ("show: option", ["machine", "show", "--frob"], {}, 125, "--frob: expected one SHAPE"),
    ("shape: none", ["machine", "show", "no/such"], {}, 125,
     "machine: no/such: No such file or directory: expected desktop, .*tiny, or a machine file"),
    ("shape: a directory", ["machine", "show", "/"], {}, 125, "machine: /: .* or a machine file"),
    ("shape: too long", ["machine", "show", "/dev/zero"], {}, 125, "a machine file of at most 1M"),
    ("shape: fault", ["machine", "show", "bad.ini"], {}, 125,
     r"^tuxmm: bad\.ini:3: \[machine\] cpus = none: expected a number from 1 to 256$"),
    ("shape: does not boot", ["machine", "show", "small.ini"], {}, 125,
     r"^tuxmm: machine: small\.ini: the machine does not boot: RAM is too small"),
    ("run: shape", ["run", "--machine", "no/such", "x"], {}, 125, "run: no/such: .*expected desktop"),
    ("run: fault", ["run", "--machine", "bad.ini", "x"], {}, 125, r"^tuxmm: bad\.ini:3: "),
    ("run: nodes and --ram", ["run", "--machine", "server-numa", "--ram", "1G", "x"], {}, 125,
     r"server-numa:\d+: \[node 1\]: --ram puts all memory on node 0"),
    ("run: page tables", ["run", "--machine", "i386-highmem", "x"], {}, 125,
     "i386-highmem: .*expected page-tables = x86-64"),
    ("run: largest", ["run", "--machine", "i386-highmem", "--ram", "4G", "x"], {}, 125,
     r"i386-highmem:\d+: .*ends at more than 4G"),
    ("not found", ["run", "-q", "--", "no-such-program"], {}, 127, "no-such-program"),
    ("path not found", ["run", "-q", "--", "./no/such"], {}, 127, "no/such"),
    ("a directory", ["run", "-q", "--", "/"], {}, 126, "/"),
    ("not executable", ["run", "-q", "--", "./plain"], {}, 126, "plain"),
    ("no ELF", ["run", "-q", "--", "./text"], {}, 126, "text"),
    ("empty", ["run", "-q", "--", "./empty"], {}, 126, "empty"),
    ("truncated", ["run", "-q", "--", "./short"], {}, 126, "short"),
    ("other processor", ["run", "-q", "--", "./arm"], {}, 126, "arm"),
    ("32 bits", ["run", "-q", "--", "./bits32"], {}, 126, "bits32"),
    ("terminal escapes", ["run", "-q", "--", "./" + ESCAPE], {}, 127, r"\?\]0;owned\?"),
]


def run(arguments, env=None, **more):
    base = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/"}
    base.update(env or {})
    return subprocess.run([TUXMM] + arguments, env=base, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60, **more)


def need(truth, what):
    if not truth:
        raise AssertionError(what)


def busybox(*words, options=(), **more):
    return run(["run", *options, "--", BUSYBOX, *words], **more)


def make_files():
    image = pathlib.Path(BUSYBOX).read_bytes()
    files = {
        "plain": image, "text": b"no ELF at all\n", "empty": b"", "short": image[:100],
        "arm": image[:18] + b"\xb7\x00" + image[20:],
        "bits32": image[:4] + b"\x01" + image[5:],
    }
    files["bad.ini"] = b"[machine]\nram = 64M\ncpus = none\n"
    files["small.ini"] = b"[machine]\nram = 64K\n"
    files["board.ini"] = b"[machine]\ncpus = 2\n[memory dram]\nstart = 1G\nsize = 96M\n"
    for name, content in files.items():
        pathlib.Path(name).write_bytes(content)
        os.chmod(name, 0o644 if name == "plain" else 0o755)


def bad_input(case):
    _, arguments, env, status, line = case
    done = run(arguments, env)
    text = done.stderr.decode()
    need(done.returncode == status, "status %d: %s" % (done.returncode, text))
    need(done.stdout == b"", "standard output: %r" % done.stdout)
    need(text.startswith("tuxmm: ") and text.endswith("\n"), "no message of ours: %r" % text)
    need(text.count("\n") == 1, "not one line: %r" % text)
    need(re.search(line, text[:-1]), "%r does not say %r" % (text, line))
    need(not any(c < " " for c in text[:-1]), "control characters: %r" % text)


def help_and_version():
    for arguments, says in ((["--help"], "doctor"), (["run", "--help"], "--ram SIZE"),
                            (["doctor", "--help"], "--json"),
                            (["machine", "--help"], "show SHAPE")):
        done = run(arguments)
        need(done.returncode == 0 and done.stderr == b"", arguments)
        need(done.stdout.startswith(b"Usage: tuxmm") and says in done.stdout.decode(), arguments)
        need(max(map(len, done.stdout.decode().split("\n"))) <= 80, "wider than 80 columns")
    done = run(["--version"])
    need(re.fullmatch(r"tuxmm \d+\.\d+\.\d+\n", done.stdout.decode()), done.stdout)


def sizes():
    for size in ("64M", "64MiB", "67108864", "65536K", "65536KiB", "1g"):
        done = busybox("true", options=("-q", "--ram", size))
        need(done.returncode == 0 and done.stderr == b"", (size, done.stderr))
    least = re.search(r"works is (\w+)", run(["run", "--ram", "1", "x"]).stderr.decode()).group(1)
    done = busybox("true", options=("-q", "--ram", least))
    need(done.returncode == 0, "the least RAM %s does not do: %s" % (least, done.stderr))


def statuses():
    need(busybox("sh", "-c", "exit 7", options=("-q",)).returncode == 7, "exit status")
    need(busybox("sh", "-c", "kill -TERM $$", options=("-q",)).returncode == 143, "signal")
    done = busybox("sleep", "30", options=("-q", "--timeout", "0.3"))
    need(done.returncode == 124, "time limit: %d" % done.returncode)
    pathlib.Path("large").write_bytes(b"line\n" * 2000000)
    done = busybox("sort", "large", options=("--ram", "8M", "--proc", "killed"))
    need(done.returncode == 137, (done.returncode, done.stderr))
    need(re.search(rb"Out of memory: Killed process 100 \(\w+\): no page for a fault at 0x[0-9a-f]+; gfp_mask="
                   rb"0x[0-9a-f]+\(GFP_\w+(\|__GFP_\w+)*\), order=0; \d+K free", done.stderr), done.stderr)
    vmstat = rows(pathlib.Path("killed/vmstat"), r"(\w+) (\d+)")
    need(vmstat["oom_kill"] == 1 and vmstat["pageoutrun"] > 0, "oom_kill, pageoutrun")
    stalls = sum(vmstat["allocstall_" + zone] for zone in ("dma", "dma32", "normal", "movable"))
    need(stalls > 0, "allocstall")
    need(vmstat["pgsteal_file"] == vmstat["pgsteal_kswapd"] + vmstat["pgsteal_direct"] > 0, "pgsteal")


def summary():
    done = busybox("sort", "/etc/passwd")
    lines = done.stderr.decode().rstrip("\n").split("\n")
    need(done.returncode == 0, done.stderr)
    need(done.stdout == subprocess.run([BUSYBOX, "sort", "/etc/passwd"],
                                       capture_output=True).stdout, "output differs")
    need(len(lines) <= 12, "%d lines" % len(lines))
    for name in ("text", "heap", "mmap", "stack", "page tables", "slab", "work", "free",
                 "buddyinfo", "next"):
        need(sum(line.strip().startswith(name) for line in lines) == 1, name)
    need("\x1b" not in done.stderr.decode(), "colour without a terminal")
    quiet = busybox("true", options=("--quiet",))
    need(quiet.stderr == b"", quiet.stderr)


def on_terminal(env):
    """Standard error of a run when it is a terminal."""
    ours, theirs = pty.openpty()
    subprocess.run([TUXMM, "run", "--", BUSYBOX, "true"], stderr=theirs, timeout=60,
                   env={"PATH": "/bin", **env}, check=True)
    os.close(theirs)
    text = b""
    try:
        while piece := os.read(ours, 65536):
            text += piece
    except OSError:
        pass
    os.close(ours)
    return text


def colours():
    need(b"\x1b[" in on_terminal({}), "a terminal gets none")
    need(b"\x1b" not in on_terminal({"NO_COLOR": "1"}), "NO_COLOR gets some")


def json_summary():
    done = busybox("sh", "-c", "exit 3", options=("-q", "--json", "out.json", "--seed", "5"))
    report = json.loads(pathlib.Path("out.json").read_text())
    need(done.returncode == 3 and report["status"] == 3, "status")
    need(report["format"] == "tuxmm-run/1" and report["program"] == BUSYBOX, "format")
    need(report["arguments"] == ["sh", "-c", "exit 3"], report["arguments"])
    need(report["machine"]["seed"] == 5 and report["machine"]["ram_bytes"] == 1 << 30, "machine")
    peak = report["peak"]
    need(0 < peak["resident_bytes"] <= peak["mapped_bytes"], peak)
    for zone in report["end"]["zones"]:
        runs = sum(n << (12 + order) for order, n in enumerate(zone["free_area"]))
        need(runs == zone["free_bytes"] <= zone["managed_bytes"], zone)
    need(report["faults"]["minor"] > 0 and report["system_calls"] > 0, "counts")
    bytes_name = b"\xff\xfe"
    done = subprocess.run([TUXMM, "run", "-q", "--json", "out.json", "--", BUSYBOX, "echo",
                           bytes_name], capture_output=True, timeout=60)
    need(done.stdout == bytes_name + b"\n", "bytes of an argument")
    need(json.loads(pathlib.Path("out.json").read_bytes().decode("utf-8")), "UTF-8")


def rows(path, pattern):
    """{name: number} of a file whose every line must match."""
    found = {}
    for line in path.read_text().splitlines():
        match = re.fullmatch(pattern, line)
        need(match, "%s: %r" % (path.name, line))
        found[match.group(1)] = int(match.group(2))
    return found


def same_shape_as_the_host(theirs, ours, until=None):
    """Rows that both have come in the same order and are laid out alike, numbers aside."""
    try:
        text = open(theirs).read()
    except OSError:
        return
    if not os.uname().release.startswith("6.18."):
        return
    text = text.split(until)[0] if until else text

    def parts(row):
        match = re.fullmatch(r"(.*?)( *\d+)( kB)?", re.sub(r"\(.*\)$", "(0", row))
        return (match[1], match[2], match[3]) if match else (row, "", "")

    def alike(one, other):
        """The same but for the number: its first digits or its last are in one column."""
        starts = [len(row[1]) - len(row[1].lstrip()) for row in (one, other)]
        widths = [len(row[1]) for row in (one, other)]
        return one[0::2] == other[0::2] and (starts[0] == starts[1] or widths[0] == widths[1])

    def name(row):
        return re.sub(r"[\d:].*", "", row.split("Node 0 ")[-1]).strip()

    host = {name(row): row for row in text.splitlines()}
    own = {name(row): row for row in ours.read_text().splitlines()}
    both = [row for row in own if row in host]
    need(both == [row for row in host if row in own], "order of " + theirs)
    need(len(both) > 5 and len(both) >= 0.9 * len(host), (theirs, set(host) - set(own)))
    for row in both:
        need(alike(parts(host[row]), parts(own[row])), (theirs, host[row], own[row]))


def slab_files(directory, slabinfo):
    """Each row of slabinfo is a directory that says the same; each alias leads to one."""
    for line in slabinfo.read_text().splitlines()[2:]:
        name, lent, there, size, each, pages = line.split()[:6]
        def value(file):
            """The number of a file; where it says which node has how much, that adds up."""
            number, *nodes = (directory / name / file).read_text().split()
            need(not nodes or sum(int(re.fullmatch(r"N\d+=(\d+)", node)[1]) for node in nodes)
                 == int(number), (file, number, nodes))
            return int(number)
        need((value("objects"), value("total_objects"), value("slab_size"), value("objs_per_slab"),
              1 << value("order")) == tuple(map(int, (lent, there, size, each, pages))), line)
        need(value("object_size") <= value("slab_size") and
             value("objects_partial") <= value("total_objects"), line)
        need(value("red_zone") == value("poison") == 0, "nothing debugs: " + line)
        need((directory / name / "alloc_calls").read_text() == "No data\n", "nothing is tracked")
    for link in directory.iterdir():
        need((link / "aliases").is_file(), link)
    links = [link for link in directory.iterdir() if link.is_symlink()]
    need(len(links) == sum(int((d / "aliases").read_text()) for d in directory.iterdir()
                           if not d.is_symlink()), "aliases")


def slab_debugged():
    """A real program on caches that debug: tracked, and nothing to report."""
    done = busybox("sort", "/etc/passwd", options=("-q", "--proc", "debugged", "--ram", "64M",
                                                   "--slab-debug", "FZPU"))
    need(done.returncode == 0 and b"BUG" not in done.stderr, done.stderr)
    cache = pathlib.Path("debugged/sys/kernel/slab/vm_area_struct")
    need(all((cache / file).read_text() == "1\n" for file in
             ("red_zone", "poison", "store_user", "sanity_checks")), "flags")
    calls = re.findall(r"^ +(\d+) 0x[0-9a-f]+ age=\d+/\d+/\d+ pid=[\d-]+ cpus=0$",
                       (cache / "alloc_calls").read_text(), re.M)
    need(sum(map(int, calls)) == int((cache / "objects").read_text().split()[0]), calls)


def slab_keys():
    """What a machine file says of caches: they debug, are shuffled, and fail where they should."""
    text = ("[machine]\nram = 64M\n[debug]\nslab = FZPU,mm_struct;A,vm_area_struct\n"
            "slab-freelist-random = on\nfailslab-ignore-gfp-wait = off\n")
    pathlib.Path("slabs.ini").write_text(text)
    done = busybox("sort", "/etc/passwd", options=("-q", "--proc", "keys", "--machine", "slabs.ini"))
    need(done.returncode == 0 and done.stderr == b"", done.stderr)
    need([pathlib.Path("keys/sys/kernel/slab", file).read_text() for file in
          ("mm_struct/red_zone", "vm_area_struct/red_zone", "vm_area_struct/failslab")]
         == ["1\n", "0\n", "1\n"], "flags")
    pathlib.Path("slabs.ini").write_text(text + "failslab = 1,100,500,-1\n")
    done = busybox("sort", "/etc/passwd", options=("-q", "--machine", "slabs.ini"))
    need(done.returncode == 126 and b"cannot map" in done.stderr and
         b"name failslab, interval 1, probability 100, space 68, times -1" in done.stderr,
         done.stderr)


def python(text, *options):
    done = run(["run", "-q", *options, "--", "/usr/bin/python3", "-c", text])
    need(done.returncode == 0, done.stderr)
    return done.stdout.decode().split("\n")


CONTROLS = """
import os
def get(path):
    return open(path).read().strip()
def put(path, text):
    try:
        with open(path, "wb", buffering=0) as file:
            return file.write(text)
    except OSError as error:
        return error.strerror
cache = "/sys/kernel/slab/vm_area_struct/"
print(get(cache + "min_partial"), put(cache + "min_partial", b"3\\n"), get(cache + "min_partial"))
print(put(cache + "cpu_partial", b"9"), get(cache + "cpu_partial"), put(cache + "cpu_partial", b"65"))
print(put(cache + "shrink", b"1"), put(cache + "shrink", b"0"), repr(get(cache + "shrink")))
print(put(cache + "order", b"1"), put(cache + "validate", b"1"), put("/proc/meminfo", b"1"))
print(put("/sys/kernel/slab/none/shrink", b"1"), os.path.exists("/sys/kernel/slab/none/shrink"))
print(oct(os.stat(cache + "shrink").st_mode), oct(os.stat(cache + "order").st_mode))
drop = "/proc/sys/vm/drop_caches"
print(put(drop, b"3\\n"), put(drop, b"x"), put(drop, b"0"), get(drop))
print([line.strip() for line in open("/proc/vmstat") if line.startswith("drop_")])
"""


def slab_controls():
    """A program sets what of its machine's caches can be set, and is told what cannot."""
    if os.geteuid() != 0:
        return
    need(python(CONTROLS, "--ram", "256M") == [
        "1 2 3", "1 9 Invalid argument", "1 Invalid argument ''",
        "Input/output error Invalid argument Input/output error",
        "No such file or directory False", "0o100600 0o100400", "2 Invalid argument Invalid argument 3",
        "['drop_pagecache 1', 'drop_slab 1']", ""], "controls")


def slob_has_no_slabs():
    """The host has a slabinfo, and a machine with SLOB none."""
    pathlib.Path("slob.ini").write_text("[machine]\nram = 256M\nslab-allocator = slob\n")
    need(python("""
import os
for path in "/proc/slabinfo", "/sys/kernel/slab/kmalloc-64/slabs", "/proc/meminfo":
    try:
        print(os.path.exists(path), os.access(path, os.R_OK), len(open(path).readline()) > 0)
    except OSError as error:
        print(error.strerror)
""", "--machine", "slob.ini") == ["No such file or directory", "No such file or directory",
                                  "True True True", ""], "slob")
    need(python("print(open('/proc/slabinfo').readline())")[0] == "slabinfo - version: 2.1", "slabs")


def proc_files():
    done = busybox("sort", "/etc/passwd", options=("-q", "--proc", "proc", "--ram", "64M"))
    need(done.returncode == 0, done.stderr)
    proc = pathlib.Path("proc")
    tasks = [p for p in proc.iterdir() if p.is_dir() and p.name != "sys"]
    need(sorted(p.name for p in proc.iterdir() if p.is_file()) ==
         ["buddyinfo", "iomem", "ioports", "meminfo", "pagetypeinfo", "slabinfo", "vmallocinfo", "vmstat", "zoneinfo"], "files of the machine")
    need(len(tasks) == 1 and sorted(p.name for p in tasks[0].iterdir()) ==
         ["maps", "smaps", "status"], "files of the task")
    meminfo = rows(proc / "meminfo", r"(\S+): +(\d+)(?: kB)?")
    vmstat = rows(proc / "vmstat", r"(\w+) (\d+)")
    zones = re.findall(r"^Node 0, zone +(\w+)$", (proc / "zoneinfo").read_text(), re.M)
    need(zones == ["DMA", "DMA32", "Normal", "Movable"], zones)
    free = sum(map(int, re.findall(r"^  pages free +(\d+)$", (proc / "zoneinfo").read_text(), re.M)))
    runs = 0
    for line in (proc / "buddyinfo").read_text().splitlines():
        match = re.fullmatch(r"Node 0, zone +\w+ ((?: *\d+ ){11})", line)
        need(match, line)
        runs += sum(int(n) << order for order, n in enumerate(match.group(1).split()))
    need(meminfo["MemFree"] == 4 * free == 4 * vmstat["nr_free_pages"] == 4 * runs,
         (meminfo["MemFree"], free, vmstat["nr_free_pages"], runs))
    need(runs == sum(int(n) << order for row in re.findall(
        r"^Node    0, zone +\w+, type +\w+ ((?: *\d+ ){11})$", (proc / "pagetypeinfo").read_text(), re.M)
        for order, n in enumerate(row.split())), "free of each type")
    need(meminfo["MemFree"] < meminfo["MemTotal"] <= 64 * 1024, "MemTotal")
    need(meminfo["Cached"] == 4 * vmstat["nr_file_pages"] > 0, "Cached")
    need(meminfo["AnonPages"] == 4 * vmstat["nr_anon_pages"] > 0, "AnonPages")
    need(meminfo["PageTables"] == 4 * vmstat["nr_page_table_pages"] > 0, "PageTables")
    need(meminfo["Slab"] == meminfo["SReclaimable"] + meminfo["SUnreclaim"] > 0, "Slab")
    slab_pages = 0
    for line in (proc / "slabinfo").read_text().splitlines()[2:]:
        match = re.fullmatch(r"(\S+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) : tunables +0 +0 +0"
                             r" : slabdata +(\d+) +(\d+) +0", line)
        need(match, line)
        lent, there, _, each, pages, active, slabs = map(int, match.groups()[1:])
        need(lent <= there == each * slabs and active <= slabs, line)
        slab_pages += pages * slabs
    need(4 * slab_pages <= meminfo["Slab"], "slabinfo and meminfo")
    task_files(tasks[0], meminfo)
    slab_files(proc / "sys/kernel/slab", proc / "slabinfo")
    node = proc / "sys/devices/system/node"
    need(sorted(p.name for p in node.iterdir()) ==
         ["has_cpu", "has_memory", "has_normal_memory", "node0", "online", "possible"], "lists of nodes")
    need(sorted(p.name for p in (node / "node0").iterdir()) ==
         ["cpulist", "cpumap", "distance", "meminfo", "numastat", "vmstat"], "files of the node")
    for own, all_of_it in (("MemTotal",) * 2, ("MemFree",) * 2, ("FilePages", "Cached"), ("AnonPages",) * 2,
                           ("PageTables",) * 2, ("Slab",) * 2, ("Mapped",) * 2, ("Shmem",) * 2):
        need(rows(node / "node0/meminfo", r"Node 0 (\S+): +(\d+)(?: kB)?")[own] == meminfo[all_of_it], own)
    need((node / "online").read_text() == (node / "node0/cpulist").read_text() == "0\n", "numbers")
    need((node / "node0/distance").read_text() == "10\n", "distance")
    same_shape_as_the_host("/sys/devices/system/node/node0/meminfo", node / "node0/meminfo")
    same_shape_as_the_host("/sys/devices/system/node/node0/numastat", node / "node0/numastat")
    same_shape_as_the_host("/sys/devices/system/node/node0/vmstat", node / "node0/vmstat")
    for name in "meminfo", "vmstat":
        same_shape_as_the_host("/proc/" + name, proc / name)
    first = node / "zoneinfo"
    first.write_text((proc / "zoneinfo").read_text().split("  pagesets")[0])
    same_shape_as_the_host("/proc/zoneinfo", first, until="  pagesets")


def task_files(task, meminfo):
    status = dict(re.findall(r"^(\w+):\t *(\d+) kB$", (task / "status").read_text(), re.M))
    maps = (task / "maps").read_text().splitlines()
    area = r"[0-9a-f]{8,16}-[0-9a-f]{8,16} [r-][w-][x-][ps] [0-9a-f]{8,} [0-9a-f]{2,}:[0-9a-f]{2,} \d+ (?: +\S.*)?"
    for line in maps:
        need(re.fullmatch(area, line), line)
    need(any(line.endswith("[heap]") for line in maps), "a heap")
    need(any(line.endswith("[stack]") for line in maps), "a stack")
    need(any(line.endswith(os.path.realpath(BUSYBOX)) for line in maps), "the program")
    smaps = (task / "smaps").read_text()
    need([line for line in smaps.splitlines() if re.fullmatch(area, line)] == maps, "areas")

    def total(name):
        return sum(map(int, re.findall(r"^%s: +(\d+) kB$" % name, smaps, re.M)))

    need(total("Size") == int(status["VmSize"]), "VmSize")
    need(total("Rss") == int(status["VmRSS"]), (total("Rss"), status["VmRSS"]))
    need(total("Anonymous") == int(status["RssAnon"]) == meminfo["AnonPages"], "anonymous")
    need(total("Rss") == total("Shared_Clean") + total("Shared_Dirty") + total("Private_Clean") +
         total("Private_Dirty"), "clean and dirty")
    need(int(status["VmHWM"]) >= int(status["VmRSS"]), "VmHWM")
    need(re.search(r"^VmFlags: rd ex mr mw me $", smaps, re.M), "flags of the text")


def seeded():
    """What is random comes from the seed: equal runs are equal, another seed is not."""
    # every source a program has: the call (perl's hashes, by way of the device), devices, a file
    script = ("exec busybox od -An -tx1 -N 100000 /dev/urandom",
              "exec busybox od -An -tx1 -N 16 /dev/random",
              "exec busybox cat /proc/sys/kernel/random/uuid",
              "exec perl -e 'my %h = map { $_ => 1 } 1 .. 50; print join(\" \", keys %h)'",
              "exec /usr/bin/python3 -c 'import os; print(hash(\"a\"), os.urandom(9))'")
    for line in script:
        outputs = [busybox("sh", "-c", line, options=("-q", "--seed", seed)).stdout
                   for seed in ("1", "1", "2")]
        need(len(outputs[0]) > 20 and outputs[0] == outputs[1], "two runs differ: " + line)
        need(outputs[0] != outputs[2], "two seeds are the same: " + line)


def doctor():
    done = run(["doctor"])
    need(done.returncode == 0 and b"tuxmm run works here." in done.stdout, done.stdout)
    need(b"\x1b" not in done.stdout, "colour without a terminal")
    report = json.loads(run(["doctor", "--json"]).stdout)
    need(report["format"] == "tuxmm-doctor/1" and report["can_run"] is True, report)
    need(all(f["ok"] for f in report["findings"] if f["needed"]), report)
    need({"memfd RAM", "host back end", "/dev/kvm"} <= {f["name"] for f in report["findings"]},
         "findings")


def checked():
    done = busybox("sort", "/etc/passwd", options=("-q",), env={"TUXMM_CHECK": "1"})
    need(done.returncode == 0 and done.stderr == b"", done.stderr)


OTHERS = [help_and_version, sizes, statuses, summary, colours, json_summary, proc_files,
          slab_debugged, slab_keys, slab_controls, slob_has_no_slabs, seeded, doctor,
          checked]


def main():
    only = sys.argv[2:]
    cases = [("bad input: " + case[0], lambda case=case: bad_input(case)) for case in BAD]
    cases += [(test.__name__.replace("_", " "), test) for test in OTHERS]
    failed = number = 0
    with tempfile.TemporaryDirectory(prefix="tuxmm-test.") as scratch:
        os.chdir(scratch)
        make_files()
        for name, test in cases:
            if only and name not in only:
                continue
            number += 1
            try:
                test()
                print("ok %d - %s" % (number, name), flush=True)
            except (AssertionError, subprocess.SubprocessError, OSError, ValueError, KeyError) as problem:
                failed += 1
                print("not ok %d - %s" % (number, name))
                print("# " + str(problem).replace("\n", "\n# "), flush=True)
        os.chdir("/")
    print("1..%d" % number)
    return 1 if failed else 0


sys.exit(main())
