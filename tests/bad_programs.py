#!/usr/bin/env python3
"""bad_programs.py - what cannot be run gets one line that says what, where and why

    bad_programs.py TUXMM

The files are made here, each a small good program with one thing spoiled.  A case
is what tuxmm is asked to run, the exit status, and all of the message behind the
file's name.  Prints TAP.
"""
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

PAGE = 4096
LOAD, INTERP, STACK = 1, 3, 0x6474e551
# mov $7, %edi; mov $60, %eax; syscall
CODE = bytes.fromhex("bf07000000b83c0000000f05")
NOBODY = 65534


def segment(kind=LOAD, flags=5, offset=0, address=0, in_file=None, in_memory=None, align=PAGE):
    in_file = 2 * PAGE if in_file is None else in_file
    in_memory = in_file if in_memory is None else in_memory
    return (kind, flags, offset, address, in_file, in_memory, align)


def elf(segments=(segment(),), bits=2, order=1, machine=62, kind=3, entry=PAGE, offset=64,
        entry_bytes=56, count=None, length=3 * PAGE, tail=b""):
    """A program of three pages that ends with status 7; `tail` is its last bytes."""
    way = "<" if order == 1 else ">"
    head = struct.pack(way + "4sBBBBB7xHHIQQQIHHHHHH", b"\x7fELF", bits, order, 1, 0, 0, kind,
                       machine, 1, entry, offset, 0, 0, 64, entry_bytes,
                       len(segments) if count is None else count, 0, 0, 0)
    for k, flags, at, address, in_file, in_memory, align in segments:
        head += struct.pack(way + "IIQQQQQQ", k, flags, at, address, address, in_file, in_memory,
                            align)
    image = bytearray(3 * PAGE)
    image[:len(head)] = head
    image[PAGE:PAGE + len(CODE)] = CODE
    if tail:
        image[-len(tail):] = tail
    return bytes(image[:length])


def with_interp(path, claim=None):
    text = path if isinstance(path, bytes) else path.encode() + b"\0"
    return elf((segment(INTERP, 4, 3 * PAGE - len(text), 0, claim or len(text)), segment()), tail=text)


def two(**second):
    return elf((segment(), segment(**{"flags": 6, "address": 8 * PAGE, **second})))


EXPECTED = "x86-64 was expected"
# name, content, status, message behind "tuxmm: NAME: "
FILES = [
    ("good", elf(), 7, None),
    ("two segments", two(), 7, None),
    ("zeroes behind", two(in_memory=9 * PAGE), 7, None),
    ("i386", elf(bits=1, machine=3), 126, r"ELF for 32-bit x86 \(machine 3\), " + EXPECTED),
    ("x32", elf(bits=1), 126, r"ELF of class 1 \(x32 or 32-bit\), the 64-bit class was expected"),
    ("arm", elf(bits=1, machine=40), 126, r"ELF for ARM \(machine 40\), " + EXPECTED),
    ("aarch64", elf(machine=183), 126, r"ELF for AArch64 \(machine 183\), " + EXPECTED),
    ("riscv", elf(machine=243), 126, r"ELF for RISC-V \(machine 243\), " + EXPECTED),
    ("unknown processor", elf(machine=4711), 126, r"ELF for another processor \(machine 4711\), " + EXPECTED),
    ("big endian", elf(order=2, machine=22), 126, "ELF for a big-endian processor, " + EXPECTED),
    ("object file", elf(kind=1), 126, r"ELF of type 1 \(an object file\), a program was expected"),
    ("core dump", elf(kind=4), 126, r"ELF of type 4 \(a core dump\), a program was expected"),
    ("type 9", elf(kind=9), 126, r"ELF of type 9 \(unknown\), a program was expected"),
    ("4 bytes", elf(length=4), 126, "truncated: 4 bytes, an ELF header has 64"),
    ("63 bytes", elf(length=63), 126, "truncated: 63 bytes, an ELF header has 64"),
    ("64 bytes", elf(length=64), 126, "truncated: program headers at offset 0x40, the file ends at 0x40"),
    ("headers behind the end", elf(offset=1 << 40), 126, "truncated: program headers at offset 0x10000000000, .*"),
    ("headers of 32 bytes", elf(entry_bytes=32), 126, "program headers of 32 bytes, 56 were expected"),
    ("no headers", elf(count=0), 126, "0 program headers, 1 to 512 were expected"),
    ("many headers", elf(count=600), 126, "600 program headers, 1 to 512 were expected"),
    ("nothing to load", elf((segment(STACK, 6, in_file=0),)), 126, "no segment to load"),
    ("segment truncated", elf(length=PAGE + 100), 126, "truncated: segment at 0 needs the file up to 0x2000, it ends at 0x1064"),
    ("more in the file", two(in_memory=PAGE), 126, "segment at 0x8000: 0x2000 bytes in the file, only 0x1000 in memory"),
    ("overlap", two(address=PAGE), 126, "segment at 0x1000 overlaps the one before it, which ends at 0x2000"),
    ("not rising", elf((segment(address=8 * PAGE), segment())), 126, "segment at 0 overlaps the one before it, .*"),
    ("behind user space", two(address=1 << 47), 126, "segment at 0x800000000000: its 0x2000 bytes leave user space .*"),
    ("wraps round", two(in_memory=(1 << 64) - PAGE), 126, "segment at 0x8000: its 0xfffffffffffff000 bytes leave user space .*"),
    ("misaligned", two(offset=100), 126, "segment at 0x8000: file offset 0x64 differs from it within a page"),
    ("odd alignment", two(align=3 * PAGE), 126, "segment at 0x8000: an alignment of 0x3000 is absurd"),
    ("vast alignment", two(align=1 << 60), 126, "segment at 0x8000: an alignment of 0x1000000000000000 is absurd"),
    ("more than RAM", two(in_memory=1 << 40), 126, "cannot map the segment at 0x[0-9a-f]+, 0x10000000000 bytes: Cannot allocate memory; try a larger --ram"),
    ("at address 0", elf(kind=2), 126, "cannot map the segment at 0, 0x2000 bytes: Operation not permitted"),
    ("interpreter: missing", with_interp("/no/such"), 126, "its interpreter /no/such: No such file or directory"),
    ("interpreter: a directory", with_interp("/"), 126, "its interpreter /: is a directory: expected a program"),
    ("interpreter: text", with_interp("./text"), 126, r"its interpreter \./text: neither an ELF program .*"),
    ("interpreter: arm", with_interp("./arm"), 126, r"its interpreter \./arm: ELF for ARM .*"),
    ("interpreter: good", with_interp("./good"), 7, None),
    ("interpreter: no NUL", with_interp(b"/lib/ld.so"), 126, "the interpreter's name does not end with a NUL"),
    ("interpreter: no name", with_interp(b"\0", 1), 126, "interpreter's name of 1 bytes, 2 to 4096 were expected"),
    ("interpreter: truncated", with_interp("/lib/ld.so", 4000), 126, "truncated: the interpreter's name is behind the end of the file"),
    ("empty", b"", 126, "the file is empty, an ELF program was expected"),
    ("text", b"echo hello\n", 126, "neither an ELF program nor a script with #! in its first line; try 'tuxmm run sh' before its name"),
    ("script: good", b"#!./good\n", 7, None),
    ("script: missing", b"#!/no/such -x\n", 126, "its interpreter /no/such: No such file or directory"),
    ("script: a directory", b"#!/\n", 126, "its interpreter /: is a directory: expected a program"),
    ("script: nameless", b"#!  \n", 126, "its #! line names no interpreter: expected '#!/path/of/it'"),
    ("script: text", b"#!./text\n", 126, r"its interpreter \./text: neither an ELF program nor .*"),
    ("loop", b"#!./loop\n", 126, "more than 5 scripts interpret each other"),
    ("1", b"#!./good\n", 7, None),
    ("2", b"#!./1\n", 7, None),
    ("3", b"#!./2\n", 7, None),
    ("4", b"#!./3\n", 7, None),
    ("5", b"#!./4\n", 7, None),
    ("6", b"#!./5\n", 126, "more than 5 scripts interpret each other"),
]

# what is no regular file of ours: made by make_others()
OTHERS = [
    ("plain", 126, r"is not executable; try 'chmod \+x' on it"),
    ("directory", 126, "is a directory: expected a program"),
    ("fifo", 126, "is not a regular file: expected a program"),
    ("dangling", 127, "No such file or directory"),
    ("round", 126, "Too many levels of symbolic links"),
    ("text/more", 126, "Not a directory"),
    ("x" * 300, 126, "File name too long"),
    ("x" * 5000, 126, "File name too long"),
    ("/dev/null", 126, "is not a regular file: expected a program"),
    ("unreadable", 126, "cannot be read: tuxmm must read what it runs"),
]


# through execve, when the program before is gone: what is left to the task is to die
AFTER = [
    ("more than RAM", 137, "execve: ./more than RAM: cannot map the segment at 0x[0-9a-f]+, .*; try a larger --ram"),
    ("at address 0", 139, "execve: ./at address 0: cannot map the segment at 0, .*"),
]


def make_files():
    for name, content, _, _ in FILES:
        with open(name, "wb") as f:
            f.write(content)
        os.chmod(name, 0o755)
    with open("plain", "wb") as f:
        f.write(elf())
    with open("unreadable", "wb") as f:
        f.write(elf())
    os.chmod("unreadable", 0o111)
    os.mkdir("directory")
    os.mkfifo("fifo", 0o755)
    os.symlink("no/such", "dangling")
    os.symlink("round", "round")


def run(tuxmm, name, **more):
    path = name if name.startswith("/") else "./" + name
    done = subprocess.run([tuxmm, "run", "-q", "--ram", "32M", "--", path], timeout=60,
                          stdin=subprocess.DEVNULL, capture_output=True, **more)
    return path, done.returncode, done.stderr.decode(errors="replace")


def run_after(tuxmm, name):
    script = 'echo before; exec "./%s"; echo after' % name
    done = subprocess.run([tuxmm, "run", "-q", "--ram", "32M", "--", "busybox", "sh", "-c", script],
                          timeout=60, stdin=subprocess.DEVNULL, capture_output=True)
    if done.stdout != b"before\n":
        raise SystemExit("Bail out! standard output %r" % done.stdout)
    return None, done.returncode, done.stderr.decode(errors="replace")


def problem(got, status, message):
    path, ours, text = got
    if ours != status:
        return "status %d, expected %d: %s" % (ours, status, text)
    if message is None:
        return "a message: " + text if text else None
    shown = re.escape(path[:150]) + ": " if path else ""
    if not re.fullmatch("tuxmm: %s%s\n" % (shown, message), text):
        return "%r is not %r" % (text, message)
    return None


def main():
    tuxmm = os.path.abspath(sys.argv[1])
    number = failed = 0
    with tempfile.TemporaryDirectory(prefix="tuxmm-test.") as scratch:
        os.chmod(scratch, 0o755)
        os.chdir(scratch)
        make_files()
        shutil.copy(tuxmm, "tuxmm") # where anybody may reach it
        for name, status, message in [(f[0], f[2], f[3]) for f in FILES] + OTHERS:
            number += 1
            as_nobody = {"user": NOBODY} if name == "unreadable" and os.geteuid() == 0 else {}
            why = problem(run(os.path.abspath("tuxmm"), name, **as_nobody), status, message)
            failed += why is not None
            print("%s %d - %s" % ("not ok" if why else "ok", number, name[:40]))
            if why:
                print("# " + why.replace("\n", "\n# "), flush=True)
        for name, status, message in AFTER:
            number += 1
            why = problem(run_after(tuxmm, name), status, message)
            failed += why is not None
            print("%s %d - execve: %s" % ("not ok" if why else "ok", number, name))
            if why:
                print("# " + why.replace("\n", "\n# "), flush=True)
        os.chdir("/")
    print("1..%d" % number)
    return 1 if failed else 0


sys.exit(main())
