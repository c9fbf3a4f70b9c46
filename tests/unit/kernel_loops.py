"""Do the hot loops of the vector kernels stay in registers? `kernel_loops.py LIBRARY...`

Disassembles each library, finds the innermost loops with at least a tile's worth of multiply-adds, and fails when one
of them touches the stack: a compiler that runs out of registers there halves the speed without a word.
"""
import re
import shutil
import subprocess
import sys

MULTIPLY_ADD = re.compile(r"\bv(?:fmadd\w*ps|dpbf16ps|pdpwssd)\b|\bfmla\b")
LEAST = 8  # multiply-adds of a loop that counts as hot


def loops(text):
    """(function, lines of the body) of every innermost loop: from a jump's target, further up, to the jump."""
    name, at, lines = "", {}, []
    for line in text.splitlines():
        head = re.match(r"[0-9a-f]+ <(\S+)>:", line)
        if head:
            name, at, lines = head[1], {}, []
            continue
        part = re.match(r"\s*([0-9a-f]+):\s+(.*)", line)
        if not part:
            continue
        at[part[1]] = len(lines)
        lines.append(part[2])
        jump = re.match(r"j\w+\s+([0-9a-f]+)\b", part[2])
        if jump and jump[1] in at:
            body = lines[at[jump[1]]:]
            if not any(re.match(r"(j\w+|call\w*|ret\w*)\b", inner) for inner in body[:-1]):
                yield name, body


def main():
    if not shutil.which("objdump"):
        print("skipped: no objdump here")
        return 77
    hot = bad = 0
    for library in sys.argv[1:]:
        text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", library], capture_output=True, text=True,
                              check=True).stdout
        for name, body in loops(text):
            if sum(bool(MULTIPLY_ADD.search(line)) for line in body) < LEAST:
                continue
            hot += 1
            spills = [line for line in body if re.search(r"\(%r[sb]p", line) and re.search(r"%[xyz]mm", line)]
            if spills:
                bad += 1
                print(f"{library}: a loop of {name} keeps vectors on the stack:\n  " + "\n  ".join(spills))
    print(f"{hot} hot loops, {bad} with vectors on the stack")
    return bad > 0 or hot < 8


if __name__ == "__main__":
    sys.exit(main())
