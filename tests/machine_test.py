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
        need(text.count("per-node stats") == nodes, text[:300])
    done = run("run", "--machine", "board.ini", "--ram", "64M", "--", BUSYBOX, "true")
    need(done.returncode == 0 and b"on a machine of 64 MiB" in done.stderr, done.stderr)
    need(b"next        tuxmm run --machine board.ini --ram 64M" in done.stderr, done.stderr)


def nodes():
    """Files of each node add up, and the program reads the same."""
    done = run("run", "-q", "--machine", "server-numa", "--proc", "numa", "--", BUSYBOX, "cat",
               *("/sys/devices/system/node/" + name for name in
                 ("online", "has_cpu", "node2/cpulist", "node3/cpumap", "node1/distance", "node3/numastat")))
    need(done.returncode == 0, done.stderr)
    lines = done.stdout.decode().splitlines()
    need(lines[:5] == ["0-3", "0-3", "8-11", "f000", "21 10 21 31"], lines)
    need([line.split()[0] for line in lines[5:]] ==
         ["numa_hit", "numa_miss", "numa_foreign", "interleave_hit", "local_node", "other_node"], lines)
    node = pathlib.Path("numa/sys/devices/system/node")
    meminfo = dict(re.findall(r"^(\S+): +(\d+)", pathlib.Path("numa/meminfo").read_text(), re.M))
    for own, of_all in ("MemTotal",) * 2, ("MemFree",) * 2, ("AnonPages",) * 2, ("FilePages", "Cached"), ("Slab",) * 2:
        need(sum(int(re.search(r"^Node %d %s: +(\d+) kB$" % (n, own), (node / ("node%d/meminfo" % n)).read_text(),
                               re.M)[1]) for n in range(4)) == int(meminfo[of_all]), own)
    need((node / "node2/distance").read_text() == "31 21 10 21\n", "distance")
    shown = text_of("server-numa")
    need(re.findall(r"^Fallback order for Node \d: .*$", shown, re.M) ==
         ["Fallback order for Node %d: %s " % pair for pair in
          enumerate(("0 1 3 2", "1 2 0 3", "2 3 1 0", "3 0 2 1"))], "fallback")


LISTING = """
import os
system = "/sys/devices/system/"
print(sorted(name for name in os.listdir(system + "node") if name.startswith("node")))
print(len([name for name in os.listdir(system + "memory") if name.startswith("memory")]))
print(sorted(os.listdir(system + "memory/memory3")), os.stat(system + "memory/memory3/state").st_size)
os.chdir(system + "node/node1/memory136")
print(os.getcwd(), open("state").read(), open("../block_size_bytes").read(), open("valid_zones").read())
print(os.path.exists(system + "node/node4"), os.path.exists(system + "memory/memory9999"))
directory = os.open(system + "node/node1", os.O_RDONLY)
print(os.read(os.open("distance", os.O_RDONLY, dir_fd=directory), 100))
"""


def blocks():
    """Nodes and memory blocks are listed and read as the machine has them, and left by --proc."""
    done = run("run", "-q", "--machine", "server-numa", "--proc", "blocks", "--", "/usr/bin/python3", "-c", LISTING)
    need(done.returncode == 0, done.stderr)
    lines = done.stdout.decode().splitlines()
    need(lines[0] == "['node0', 'node1', 'node2', 'node3']" and lines[1] == "512", lines[:2])
    need(lines[2] == "['online', 'phys_device', 'phys_index', 'removable', 'state', 'valid_zones'] 4096", lines[2])
    need(lines[3:8] == ["/sys/devices/system/memory/memory136 online", " 8000000", " Normal", "",
                        "False False"], lines[3:8])
    need(lines[8] == r"b'21 10 21 31\n'", lines[8])
    memory = pathlib.Path("blocks/sys/devices/system/memory")
    need(len(list(memory.glob("memory*"))) == 512 and (memory / "auto_online_blocks").read_text() == "offline\n", "list")
    need((memory / "memory3/valid_zones").read_text() == "DMA32\n", "zones")
    need((memory.parent / "node/node1/memory136/phys_index").read_text() == "00000088\n", "link")
    done = run("run", "-q", "--ram", "64M", "--", BUSYBOX, "ls", "/sys/devices/system/memory")
    need(done.returncode == 1 and b"No such file" in done.stderr, done.stderr)


CONTROL = """
import errno
memory = "/sys/devices/system/memory/"
def read(name):
    return open(memory + name).read().strip()
def write(name, text):
    try:
        with open(memory + name, "w", buffering=1) as file:
            file.write(text)
    except OSError as error:
        return errno.errorcode[error.errno]
for text in ("offline", "offline", "online_movable\\n", "online", "sideways"):
    print(text.strip(), write("memory12/state", text), read("memory12/state"), read("memory12/valid_zones"))
for text in "0", "1", "2":
    print(text, write("memory12/online", text), read("memory12/online"), read("memory12/valid_zones"))
print(write("memory0/state", "offline"), write("memory12/phys_index", "1"))
print(write("auto_online_blocks", "online_kernel"), read("auto_online_blocks"))
print(next(line for line in open("/proc/zoneinfo") if "Movable" in line).strip())
"""


def offline():
    """A program puts memory blocks out of use and into MOVABLE, as an administrator does."""
    pathlib.Path("blocks.ini").write_text("[machine]\nram = 512M\nmemory-model = sparse\nsection-size = 16M\n"
                                          "hotplug-end = 1G\n")
    done = run("run", "-q", "--machine", "blocks.ini", "--", "/usr/bin/python3", "-c", CONTROL)
    need(done.returncode == 0, done.stderr)
    lines = done.stdout.decode().splitlines()
    need(lines == ["offline None offline DMA32 Movable", "offline EINVAL offline DMA32 Movable",
                   "online_movable None online Movable", "online EINVAL online Movable",
                   "sideways EINVAL online Movable", "0 None 0 DMA32 Movable", "1 None 1 DMA32",
                   "2 EINVAL 1 DMA32", "EINVAL EIO", "None online_kernel", "Node 0, zone  Movable"], lines)


def debugged():
    """page_owner has what the program was lent, by call sites that do not move."""
    pathlib.Path("debug.ini").write_text("[machine]\nram = 64M\n[debug]\npage-owner = on\npoison = on\n")
    owners = []
    for directory in "first", "second":
        done = run("run", "-q", "--machine", "debug.ini", "--proc", directory, "--", BUSYBOX, "sort", "debug.ini")
        need(done.returncode == 0 and len(done.stdout.splitlines()) == 5, done.stderr)
        owners.append(pathlib.Path(directory, "sys/kernel/debug/page_owner").read_text())
    need(owners[0] == owners[1], "two runs differ")
    pages = re.findall(r"Page allocated via order (\d+), mask 0x[0-9a-f]+\nPFN \d+ Block \d+ Zone \w+\n"
                       r" tuxmm\+0x[0-9a-f]+\n\n", owners[0])
    need("".join(owners[0].split()) and len(pages) == owners[0].count("\n\n"), owners[0][:300])
    meminfo = dict(re.findall(r"^(\S+): +(\d+)", pathlib.Path("first/meminfo").read_text(), re.M))
    lent = sum(1 << int(order) for order in pages)
    used = sum(int(meminfo[row]) for row in ("AnonPages", "Cached", "Slab", "PageTables")) // 4
    need(used <= lent <= used + 16, (used, lent))
    need("Kernel command line: page_owner=on page_poison=1\n" in text_of("debug.ini"), "command line")


def hotplug():
    pathlib.Path("plug.ini").write_text("[machine]\nram = 64M\nmemory-model = sparse\nhotplug-end = 1G\n")
    need("hotplug\n" in text_of("plug.ini") and
         "ACPI: SRAT: Node 0 PXM 0 [mem 0x04000000-0x3fffffff] hotplug\n" in text_of("plug.ini"), "range")
    done = run("run", "-q", "--machine", "plug.ini", "--", BUSYBOX, "echo", "on", "it")
    need(done.returncode == 0 and done.stdout == b"on it\n", done.stderr)


def without_caches():
    """SLOB has no cache to list: there is no slabinfo, and the host's is not shown."""
    done = run("run", "-q", "--machine", "tiny", "--proc", "slob", "--", BUSYBOX, "cat", "/proc/slabinfo")
    need(done.returncode == 1 and done.stdout == b"" and b"No such file" in done.stderr, done.stderr)
    need(pathlib.Path("slob/meminfo").exists() and not pathlib.Path("slob/slabinfo").exists(), "left behind")
    need(not pathlib.Path("slob/sys/kernel/slab").exists(), "caches")


def high_memory():
    """Programs run where most of memory has no address."""
    pathlib.Path("high.ini").write_text("[machine]\nram = 256M\nlowmem = 32M\n")
    text = "".join("%d\n" % (7919 * n % 100003) for n in range(60000))
    pathlib.Path("numbers").write_text(text)
    done = run("run", "--machine", "high.ini", "--proc", "proc", "--", BUSYBOX, "sort", "-n",
               "numbers")
    need(done.returncode == 0, done.stderr)
    need(list(map(int, done.stdout.split())) == sorted(map(int, text.split())), "sorted")
    meminfo = dict(re.findall(r"^(\w+): +(\d+) kB", pathlib.Path("proc/meminfo").read_text(), re.M))
    need(int(meminfo["HighTotal"]) == (256 - 32) * 1024, meminfo)
    need(int(meminfo["HighTotal"]) - int(meminfo["HighFree"]) > 1024, "high memory in use")
    need(int(meminfo["HighTotal"]) + int(meminfo["LowTotal"]) == int(meminfo["MemTotal"]), meminfo)


def main():
    cases = [("listed", listed), ("limits", limits), ("programs", programs), ("nodes", nodes), ("blocks", blocks), ("offline", offline),
             ("debugged", debugged), ("hotplug", hotplug), ("high memory", high_memory),
             ("without caches", without_caches)]
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
