#!/usr/bin/env python3
"""real_programs.py - unmodified Debian programs give the output they give natively

    real_programs.py TUXMM MAKE_TEXT [NAME...]

Each case runs once natively and twice on the machine, at each of its RAM sizes, or
on machines that describe their memory in other ways.
Standard output, exit status and files made must equal the native run's, and the
two runs' counters must equal each other.  Prints TAP.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

BUSYBOX = "/bin/busybox" if os.path.exists("/bin/busybox") else "/usr/bin/busybox"
TIMEOUT = 300

PYTHON_JSON = r"""
import json, re, collections
rows = [{"id": i, "name": "item%d" % (i * 7919 % 10007), "tags": ["a", "b", str(i % 13)]} for i in range(20000)]
text = json.dumps(rows)
back = json.loads(text)
assert back == rows
hits = re.findall(r'"item(\d*9)"', text)
count = collections.Counter(r["name"][-1] for r in back)
print(len(text), len(hits), sorted(count.items()))
"""

PYTHON_FILES = r"""
import os, mmap, hashlib, zlib, sqlite3
with open("data.bin", "wb") as f:
    f.write(bytes(i * 31 % 251 for i in range(300000)))
with open("data.bin", "r+b") as f:
    m = mmap.mmap(f.fileno(), 0)
    m[1000:1005] = b"hello"
    m.flush()
    print(hashlib.sha256(m).hexdigest())
    m.close()
print(hashlib.sha256(open("data.bin", "rb").read()).hexdigest())
z = zlib.compress(open("data.bin", "rb").read(), 9)
print(len(z), len(zlib.decompress(z)))
db = sqlite3.connect("py.db")
db.execute("create table t(a integer primary key, b text)")
db.executemany("insert into t values(?, ?)", ((i, str(i) * 3) for i in range(5000)))
db.commit()
print(db.execute("select count(*), sum(length(b)) from t").fetchone())
print(sorted(os.listdir(".")))
"""

PERL = r"""
my %count; my $x = 12345;
for my $i (1 .. 300000) { $x = ($x * 1103515245 + 12345) % 2147483648; $count{$x % 1009}++; }
my @top = sort { $count{$b} <=> $count{$a} || $a <=> $b } keys %count;
print join(",", map { "$_=$count{$_}" } @top[0 .. 9]), "\n";
my $text = "the quick brown fox " x 20000; my $n = () = $text =~ /\b(\w)\w*\b/g; print "$n\n";
"""

SQL = """
create table t(id integer primary key, a integer, b text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)
  insert into t select i, (i * 7919) % 100003, 'row ' || i from n;
create index ta on t(a);
select count(*), sum(a), min(b), max(b) from t;
select id, a, b from t where a between 500 and 520 order by a;
update t set b = b || '!' where a % 10 = 3;
select sum(length(b)) from t;
"""

# Memory in pieces: what programs see of it is the same.
SPARSE = "[machine]\nmemory-model = sparse\nsection-size = 16M\n" + "".join(
    "[memory piece%d]\nstart = %dM\nsize = %dM\n" % (i, 1 + 40 * i, 7 + 4 * (i % 3)) for i in range(10))
DISCONTIGUOUS = ("[machine]\nmemory-model = discontiguous\ncpus = 2\n"
                 "[memory low]\nstart = 64K\nsize = 512K\n[memory near]\nstart = 2M\nsize = 30M\n"
                 "[memory far]\nstart = 5G\nsize = 60M\nnode = 1\n"
                 "[node 0]\ncpus = 0-1\ndistance = 10 40\n[node 1]\ndistance = 40 10\n")
FOUR_NODES = ("[machine]\ncpus = 4\nmovablecore = 32M\n" +
              "".join("[memory m%d]\nstart = %dM\nsize = 28M\nnode = %d\n" % (n, 32 * n, n) for n in range(4)) +
              "".join("[node %d]\ncpus = %d\n" % (n, n) for n in range(4)))
MACHINES = {"sparse.ini": SPARSE, "discontiguous.ini": DISCONTIGUOUS, "nodes.ini": FOUR_NODES}
ALL_MACHINES = list(MACHINES) + ["server-numa"]

# name, command, RAM sizes and machines, standard input (a file's name or None)
CASES = [
    ("busybox sort", [BUSYBOX, "sort", "text"], ["48M", "256M"] + ALL_MACHINES, None),
    ("busybox echo", [BUSYBOX, "echo", "hello"], ["tiny", "4M"], None),
    ("busybox sort small", [BUSYBOX, "sort", "small"], ["tiny"], None),
    ("busybox sort -n -r", [BUSYBOX, "sort", "-nr", "numbers"], ["64M"], None),
    ("busybox sha256sum", [BUSYBOX, "sha256sum", "text", "numbers"], ["8M", "128M"], None),
    ("busybox awk", [BUSYBOX, "awk", "{ n[$1]++ } END { for (k in n) if (n[k] > 90) print k, n[k] }", "text"], ["64M"], None),
    ("busybox grep -c", [BUSYBOX, "grep", "-cE", "mem.*(qui|xi)$", "text"], ["16M"], None),
    ("busybox gzip", [BUSYBOX, "gzip", "-c", "text"], ["16M"], None),
    ("busybox gunzip", [BUSYBOX, "gunzip", "-c", "text.gz"], ["16M"], None),
    ("busybox tar", [BUSYBOX, "tar", "-cf", "out.tar", "text", "numbers", "tree"], ["16M"], None),
    ("busybox tar -x", [BUSYBOX, "tar", "-xvf", "in.tar"], ["16M"], None),
    ("busybox dd", [BUSYBOX, "dd", "if=text", "of=copy", "bs=64k", "count=20"], ["16M"], None),
    ("busybox wc", [BUSYBOX, "wc"], ["16M"], "text"),
    ("busybox find", [BUSYBOX, "find", "tree", "-name", "*.txt", "-size", "-9"], ["16M"], None),
    ("busybox sh", [BUSYBOX, "sh", "-c", "i=0; s=0; while [ $i -lt 20000 ]; do i=$((i+1)); s=$((s+i*i%7)); done; echo $s; cd tree; echo ${PWD##*/}; printf '%05d\\n' 42"], ["16M"], None),
    ("/bin/true", ["/bin/true"], ["8M", "4G"], None),
    ("/bin/false", ["/bin/false"], ["16M"], None),
    ("/bin/echo", ["/bin/echo", "a", "b c"], ["16M"], None),
    ("/bin/cat", ["/bin/cat"], ["16M"], "numbers"),
    ("/bin/ls", ["/bin/ls", "-laR", "--time-style=+", "tree"], ["16M"], None),
    ("sort", ["/usr/bin/sort", "--parallel=1", "-k2", "text"], ["128M"], None),
    ("sha256sum", ["/usr/bin/sha256sum", "text"], ["16M"], None),
    ("od", ["/usr/bin/od", "-A", "x", "-t", "x1", "small"], ["16M"], None),
    ("sed", ["/bin/sed", "-n", "s/mem/MEM/gp", "small"], ["16M"], None),
    ("awk", ["/usr/bin/awk", "{ s += length($0) } END { print NR, s }", "text"], ["32M"], None),
    ("gzip", ["/bin/gzip", "-9c", "small"], ["16M"], None),
    ("sqlite3", ["/usr/bin/sqlite3", "new.db"], ["64M"] + ALL_MACHINES, "sql"),
    ("perl", ["/usr/bin/perl", "-e", PERL], ["64M"], None),
    ("python3 json", ["/usr/bin/python3", "-c", PYTHON_JSON], ["128M", "1G"], None),
    ("python3 files", ["/usr/bin/python3", "-c", PYTHON_FILES], ["64M"] + ALL_MACHINES, None),
    ("env nice sh perl", ["/usr/bin/env", "-u", "HOME", "X=1", "/usr/bin/nice", "-n", "5", BUSYBOX, "sh", "-c", "cd tree && exec /usr/bin/perl -e 'print join(\" \", $0, $ENV{X}, @ARGV), \"\\n\"; exec \"./shim\", 1, 2'"], ["16M"], None),
    ("bash", ["/bin/bash", "-c", "for i in {1..2000}; do a[$i]=$((i*i)); done; echo ${#a[@]} ${a[77]}; trap 'echo bye' EXIT; kill -0 $$ && [[ abc =~ b ]] && echo yes"], ["32M"] + ALL_MACHINES, None),
]

# What may differ between two equal runs: time, and paths the user chose.
VOLATILE = re.compile(r"seconds|_ns$|_us$|json|proc_dir")


def make_files(where, make_text):
    with open(where / "text", "wb") as f:
        subprocess.run([make_text, "3000000"], stdout=f, check=True)
    text = (where / "text").read_bytes()
    (where / "small").write_bytes(text[:60000])
    (where / "numbers").write_text("".join("%d\n" % (i * 7919 % 100003) for i in range(200000)))
    (where / "sql").write_text(SQL)
    tree = where / "tree"
    for i in range(40):
        folder = tree / ("d%d" % (i % 5)) / ("e%d" % (i % 3))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / ("f%d.%s" % (i, "txt" if i % 2 else "bin"))
        path.write_bytes(text[i * 100:i * 100 + i * 50])
        os.utime(path, (1000000000 + i, 1000000000 + i))
    shim = tree / "shim" # as version managers put in the place of a program
    shim.write_text('#!%s sh\ncd "${0%%/*}/.."\nexec ./tree/real "$@"\n' % BUSYBOX)
    real = tree / "real"
    real.write_text("#!/usr/bin/env -S /usr/bin/python3 -B -I\nimport sys\nprint(sys.argv)\n")
    for path in (shim, real):
        path.chmod(0o755)
    subprocess.run([BUSYBOX, "gzip", "-k", "text"], cwd=where, check=True)
    subprocess.run([BUSYBOX, "tar", "-cf", "in.tar", "tree", "small"], cwd=where, check=True)
    for path in where.rglob("*"):
        os.utime(path, (1000000000, 1000000000))


def snapshot(where):
    """Every file below, by name and content."""
    files = {}
    for path in sorted(where.rglob("*")):
        if path.is_file():
            files[path.relative_to(where).as_posix()] = path.read_bytes()
    return files


def run(command, where, stdin):
    source = open(where / stdin, "rb") if stdin else subprocess.DEVNULL
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=where, stdin=source, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=env, timeout=TIMEOUT)
    return done.returncode, done.stdout, done.stderr


def steady(value, path=""):
    """The counters of a summary, without what may differ."""
    if isinstance(value, dict):
        return {k: steady(v, k) for k, v in value.items() if not VOLATILE.search(k)}
    if isinstance(value, list):
        return [steady(v, path) for v in value]
    return value


def differs(case, ram, template, tuxmm, scratch):
    """None when the case holds, else what went wrong."""
    name, command, _, stdin = case
    trees = []
    for which in ("native", "first", "second"):
        where = scratch / which
        shutil.rmtree(where, ignore_errors=True)
        shutil.copytree(template, where)
        trees.append(where)
    native = run(command, trees[0], stdin)
    reports = []
    for where in trees[1:]:
        report = scratch / (where.name + ".json")
        machine = ["--ram", ram] if ram[0].isdigit() else \
            ["--machine", str(scratch / ram) if ram in MACHINES else ram]
        ours = run([tuxmm, "run", "-q", *machine, "--json", str(report), "--"] + command,
                   where, stdin)
        if ours[0] != native[0]:
            return "status %d, natively %d: %s" % (ours[0], native[0], ours[2][-300:])
        if ours[1] != native[1]:
            return "standard output differs: %r, natively %r" % (ours[1][:200], native[1][:200])
        if snapshot(where) != snapshot(trees[0]):
            return "files differ"
        reports.append(steady(json.loads(report.read_text())))
    if reports[0] != reports[1]:
        keys = [k for k in reports[0] if reports[0][k] != reports[1].get(k)]
        return "counters differ between two runs: " + ", ".join(
            "%s %s / %s" % (k, reports[0][k], reports[1].get(k)) for k in keys)[:400]
    return None


def main():
    tuxmm, make_text = (os.path.abspath(p) for p in sys.argv[1:3])
    only = sys.argv[3:]
    number = failed = 0
    with tempfile.TemporaryDirectory(prefix="tuxmm-test.") as scratch:
        scratch = pathlib.Path(scratch)
        template = scratch / "template"
        template.mkdir()
        make_files(template, make_text)
        for name, text in MACHINES.items():
            (scratch / name).write_text(text)
        for case in CASES:
            if only and case[0] not in only:
                continue
            for ram in case[2]:
                number += 1
                if not os.path.exists(case[1][0]):
                    print("ok %d - %s # SKIP not installed" % (number, case[0]), flush=True)
                    continue
                try:
                    problem = differs(case, ram, template, tuxmm, scratch)
                except subprocess.TimeoutExpired:
                    problem = "did not end in %d s" % TIMEOUT
                failed += problem is not None
                print("%s %d - %s at %s" % ("not ok" if problem else "ok", number, case[0], ram),
                      flush=True)
                if problem:
                    print("# " + problem.replace("\n", "\n# "), flush=True)
    print("1..%d" % number)
    return 1 if failed else 0


sys.exit(main())
