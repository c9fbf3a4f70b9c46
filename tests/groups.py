"""Runs the groups of tests (called by script/test) and counts what passed, failed and was skipped.

The groups with their size and usual minutes are printed first. A group that this machine cannot run is skipped, saying
why. The last line is `N passed, N failed, N skipped`; the exit status is 0 when nothing failed.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
JOBS = str(max(1, len(os.sched_getaffinity(0))))
FUZZ_SECONDS = int(os.environ.get("FUZZ_SECONDS", "8"))


class Result:
    def __init__(self):
        self.passed, self.failed, self.skipped = 0, [], []

    def add(self, name, ok):
        if ok:
            self.passed += 1
        else:
            self.failed.append(name)


def run(command, **more):
    return subprocess.run([str(c) for c in command], cwd=ROOT, **more)


def build(folder, *options, targets=()):
    """Configures the folder (again when the options changed) and builds; None or what went wrong."""
    mark, wanted = ROOT / folder / ".options", " ".join(("-Dtests=enabled", *options))
    if not (ROOT / folder / "build.ninja").exists() or not mark.exists() or mark.read_text().strip() != wanted:
        again = ["--reconfigure"] if (ROOT / folder / "meson-info" / "meson-info.json").exists() else []
        done = run(["meson", "setup", folder, *again, "-Dtests=enabled", *options], capture_output=True, text=True)
        if done.returncode:
            print(done.stdout[-3000:], done.stderr[-2000:])
            return "meson setup failed"
        mark.write_text(wanted)
    done = run(["ninja", "-C", folder, *targets], capture_output=True, text=True)
    if done.returncode:
        print(done.stdout[-6000:])
        return "the build failed"
    return None


def meson_tests(folder, suites, result, environment=None):
    """Runs meson's suites; a cmocka binary counts as the tests in it."""
    # The limits in meson.build suit an idle machine; nothing fails here because another program works beside it.
    patience = "15" if environment else "5"
    command = ["meson", "test", "-C", folder, "--no-rebuild", "--print-errorlogs", "--timeout-multiplier", patience]
    for suite in suites:
        command += ["--suite", suite]
    run(command, env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL)
    log = ROOT / folder / "meson-logs" / "testlog.json"
    for line in log.read_text(errors="replace").splitlines():
        test = json.loads(line)
        text = (test.get("stdout") or "") + (test.get("stderr") or "")
        passed = len(re.findall(r"^\[       OK \]", text, re.M))
        failed = re.findall(r"^\[  FAILED  \] ([a-z_0-9]\w*)$", text, re.M)
        skipped = re.findall(r"^\[  SKIPPED \] ([a-z_0-9]\w*)$", text, re.M)
        if test["result"] == "SKIP":
            result.skipped.append(f"{test['name']}: it says so itself")
        elif test["result"] == "OK":
            result.passed += max(passed, 0 if skipped else 1)
        else:
            result.passed += passed
            result.failed += [f"{test['name']}: {name}" for name in dict.fromkeys(failed)] or [
                f"{test['name']} ({test['result'].lower()})"]
            print(text[-3000:])
        result.skipped += [f"{test['name']}: {name}" for name in dict.fromkeys(skipped)]


PYTEST_MOST_S = 1200  # of one group; the longest takes five minutes on a busy machine


def pytest(folder, result, *options):
    if not list((ROOT / folder).glob("test_*.py")):
        result.skipped.append(f"{folder}: there are no tests in it")
        return
    report = ROOT / "build" / f"pytest-{pathlib.Path(folder).name}.xml"
    report.unlink(missing_ok=True)
    environment = {**os.environ, "TICKCAST_BIN": str(ROOT / "build" / "tickcast")}
    # A test that hangs must not hold up the other groups; its stack is in the output.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}",
               "-o", "faulthandler_timeout=300", *options, folder]
    try:
        done = run(command, env=environment, capture_output=True, text=True, timeout=PYTEST_MOST_S)
    except subprocess.TimeoutExpired as hung:
        print((hung.stderr or b"")[-6000:])
        result.failed.append(f"{folder}: not through after {PYTEST_MOST_S} s")
        return
    if not report.exists() or done.returncode not in (0, 1):
        print(done.stdout[-4000:], done.stderr[-4000:])
        result.failed.append(f"{folder}: pytest did not finish (exit {done.returncode})")
        return
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname')}: {case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            result.failed.append(name)
        elif case.find("skipped") is not None:
            result.skipped.append(f"{name}: {case.find('skipped').get('message')}")
        else:
            result.passed += 1
    if done.returncode:
        print(done.stdout[-8000:])


def style(result):
    for script in ("check-style", "check-layers", "gen-docs --check"):
        done = run([ROOT / "script" / script.split()[0], *script.split()[1:]], capture_output=True, text=True)
        if done.returncode:
            print(done.stdout[-4000:], done.stderr[-2000:])
        result.add(f"script/{script}", done.returncode == 0)


def unit(result):
    meson_tests("build", ["unit"], result)


def integration(result):
    pytest("tests/integration", result, "-n", str(int(JOBS) + 1), "--dist", "worksteal")  # they wait more than they work


def live(result):
    pytest("tests/live", result, "-n", str(int(JOBS) + 2), "--dist", "worksteal")  # they wait more than they work


def browser(result):
    """Node's own test runner; its TAP lines are counted (a suite's line is that of its tests)."""
    if not shutil.which("node"):
        result.skipped.append("group browser: there is no node")
        return
    done = run(["node", "--test", "--test-reporter=tap", *sorted((ROOT / "tests" / "e2e").glob("*.test.mjs"))],
               env={**os.environ, "TICKCAST_BIN": str(ROOT / "build" / "tickcast")}, capture_output=True, text=True)
    lines = re.findall(r"^( *)(not ok|ok) \d+ - (.*?)(?: # (SKIP|[A-Z]+) ?(.*))?$", done.stdout, re.M)
    deepest = max((len(line[0]) for line in lines), default=0)
    for indent, state, name, directive, reason in lines:
        if directive:
            result.skipped.append(f"{name}: {reason}")
        elif len(indent) == deepest or deepest == 0:
            result.add(name, state == "ok")
    for block in re.findall(r"^ *not ok \d+ - .*?(?=^ *(?:not ok|ok) \d+ - |\Z)", done.stdout, re.M | re.S):
        print(block[:1500], "..." if len(block) > 1500 else "")
    if not lines or (done.returncode and not result.failed):
        result.failed.append(f"tests/e2e: node did not finish (exit {done.returncode})")


def arm64(result):
    """The kernels' own tests, built for 64-bit ARM and run under qemu's user mode; nothing is timed."""
    compiler, qemu = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if not compiler or not qemu:
        result.skipped.append("group arm64: " + ("no aarch64-linux-gnu-gcc" if not compiler else "no qemu-aarch64") +
                              " here (packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static)")
        return
    kern = [f"src/kern/{name}.c" for name in ("kern", "gemm", "pack", "stack", "team", "kern_c", "kern_neon")]
    base = [f"src/base/{name}.c" for name in ("err", "rng", "clock")]
    folder = ROOT / "build-arm64"
    folder.mkdir(exist_ok=True)
    for test in ("kern", "stack"):
        program = folder / f"test_{test}"
        done = run([compiler, "-static", "-O2", "-std=gnu17", "-D_GNU_SOURCE", "-ffp-contract=off", "-Wall", "-Wextra",
                    "-Werror", "-Isrc", "-Itests/arm64", *kern, *base, f"tests/unit/test_{test}.c", "-lm", "-lpthread",
                    "-o", program], capture_output=True, text=True)
        if not done.returncode:
            done = run([qemu, program], capture_output=True, text=True)
        if done.returncode:
            print(done.stdout[-3000:], done.stderr[-3000:])
        result.add(f"kernels on arm64: test_{test}", done.returncode == 0)


def fault(result):
    pytest("tests/fault", result)


def cluster(result):
    """Real servers from their packages; they come only when this group is asked for."""
    done = run([ROOT / "script" / "bootstrap", "cluster"], capture_output=True, text=True)
    if done.returncode:
        result.skipped.append(f"group cluster: Java and Maven could not be installed ({done.stderr.strip()[-200:]})")
        return
    pytest("tests/cluster", result)


def clang_fuzzes():
    """Can clang link a fuzzer here? Its runtime is a package of its own on some systems."""
    if not shutil.which("clang"):
        return False
    with tempfile.TemporaryDirectory() as folder:
        program = "int LLVMFuzzerTestOneInput(const char *d, long n);" \
                  "int LLVMFuzzerTestOneInput(const char *d, long n) { return !d && n; }"
        return run(["clang", "-x", "c", "-", "-fsanitize=fuzzer,address,undefined", "-o", f"{folder}/probe"],
                   input=program, text=True, capture_output=True).returncode == 0


def fuzz(result):
    options = ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dwerror=true",
                       "-Dbuildtype=debugoptimized"]
    clang = clang_fuzzes()
    if clang:
        options.append("-Dfuzz=true")
    else:
        result.skipped.append("libFuzzer runs: no clang with its fuzzer's runtime; the corpora are still read under gcc's "
                              "sanitizers")
    wrong = build_with("clang" if clang else None, "build-fuzz", *options)
    if wrong:
        result.failed.append(wrong)
        return
    meson_tests("build-fuzz", ["fuzz"], result)
    for target in sorted((ROOT / "build-fuzz" / "tests" / "fuzz").glob("fuzz_*")) if clang else []:
        if not target.is_file():
            continue
        name = target.name.removeprefix("fuzz_")
        work = ROOT / "build-fuzz" / "corpus" / name
        work.mkdir(parents=True, exist_ok=True)
        done = run([target, f"-max_total_time={FUZZ_SECONDS}", "-timeout=10", "-rss_limit_mb=1500",
                    f"-artifact_prefix={work.parent}/crash-{name}-", work, ROOT / "tests" / "fuzz" / "corpus" / name],
                   capture_output=True, text=True)
        if done.returncode:
            print(done.stderr[-4000:])
        result.add(f"libFuzzer on {name} for {FUZZ_SECONDS} s", done.returncode == 0)


def build_with(compiler, folder, *options):
    before = os.environ.get("CC")
    if compiler:
        os.environ["CC"] = compiler
    try:
        return build(folder, *options)
    finally:
        if compiler:
            os.environ.pop("CC") if before is None else os.environ.update(CC=before)


def sanitized(name, flags):
    def group(result):
        folder = f"build-{name}"
        wrong = build(folder, f"-Db_sanitize={flags}", "-Db_lundef=false", "-Dwerror=true",
                       "-Dbuildtype=debugoptimized")
        if wrong:
            result.failed.append(wrong)
            return
        meson_tests(folder, ["unit"], result, {
            "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0", "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
            "TSAN_OPTIONS": "halt_on_error=1:atexit_sleep_ms=0"})
    return group


def count(pattern, what, expression=None):
    files = sorted(ROOT.glob(pattern))
    if expression:
        return f"{sum(len(re.findall(expression, f.read_text(), re.M)) for f in files)} {what}"
    return f"{len(files)} {what}"


# name: (what runs it, its size in words, usual minutes on 2 cores, MiB of memory it needs, what it is)
TESTS_IN_C = r"^\s*(?:cmocka_unit_test\w*|T)\("
GROUPS = {
    "style": (style, lambda: "3 checks", 0.3, 0, "format, banned functions, layers, generated pages"),
    "unit": (unit, lambda: count("tests/unit/test_*.c", "tests", TESTS_IN_C), 1, 0, "C modules"),
    "integration": (integration, lambda: count("tests/integration/test_*.py", "tests", r"^def test_"), 3, 500,
                    "the program from outside, bars against an independent script"),
    "browser": (browser, lambda: count("tests/e2e/*.test.mjs", "tests", r"^\s*(?:test|it)\("), 2, 1500, "the page in Chromium"),
    "fault": (fault, lambda: count("tests/fault/test_*.py", "tests", r"^def test_"), 4, 500,
              "kill -9, lost writes, full disk, busy port"),
    "cluster": (cluster, lambda: count("tests/cluster/test_*.py", "tests", r"^def test_"), 4, 3500,
                "a real Kafka and a real Cassandra: the same rows, whatever is killed"),
    "live": (live, lambda: count("tests/live/test_*.py", "tests", r"^def test_"), 4, 700,
             "live feeds against fake vendors, damage included"),
    "arm64": (arm64, lambda: "2 test programs", 4, 0, "the kernels for 64-bit ARM under qemu, not timed"),
    "fuzz": (fuzz, lambda: count("tests/fuzz/fuzz_*.c", "targets"), 6, 2500, "parsers on hostile bytes"),
    "asan-ubsan": (sanitized("asan-ubsan", "address,undefined"),
                   lambda: "unit tests", 3, 2500, "address and undefined behaviour sanitizers"),
    "tsan": (sanitized("tsan", "thread"), lambda: "unit tests", 3, 2500, "thread sanitizer"),
}
ALIASES = {"quick": ["unit", "integration"], "sanitizers": ["asan-ubsan", "tsan"], "e2e": ["browser"],
           "all": list(GROUPS)}


def memory_mib():
    """What is free for us: of the machine, or of the control group when that is less."""
    free = 1 << 40
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) // 1024
    try:
        own = pathlib.Path("/proc/self/cgroup").read_text().split("::", 1)[1].split("\n")[0].strip("/")
        folder = pathlib.Path("/sys/fs/cgroup") / own
        if not (folder / "memory.max").exists():
            folder = pathlib.Path("/sys/fs/cgroup")
        used = int((folder / "memory.current").read_text())
        cached = re.search(r"^inactive_file (\d+)", (folder / "memory.stat").read_text(), re.M)  # given back when asked
        free = min(free, (int((folder / "memory.max").read_text()) - used + int(cached[1] if cached else 0)) >> 20)
    except (OSError, ValueError, IndexError):
        pass  # no control groups, or no limit
    return free


def chosen(words):
    names = []
    for word in words or ["all"]:
        if word not in GROUPS and word not in ALIASES:
            sys.exit(f"script/test: {word}: no such group; there are: {', '.join([*GROUPS, *ALIASES])}")
        names += ALIASES.get(word, [word])
    return list(dict.fromkeys(names))


def print_groups(names):
    print(f"{'group':<12} {'size':<14} {'minutes':>7}  what")
    for name in names:
        _, size, minutes, _, what = GROUPS[name]
        print(f"{name:<12} {size():<14} {minutes:>7}  {what}")
    print(f"{'together':<12} {'':<14} {sum(GROUPS[n][2] for n in names):>7}  (script/test quick: unit and integration)")


def run_group(name):
    function, _, _, need, _ = GROUPS[name]
    result, start = Result(), time.monotonic()
    print(f"\n== {name}", flush=True)
    if memory_mib() < need:
        result.skipped.append(f"group {name}: {need} MiB of free memory are needed, there are {memory_mib()}")
    else:
        try:
            function(result)
        except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
            result.failed.append(f"group {name}: {error}")
    for line in result.skipped:
        print(f"skipped: {line}")
    for line in result.failed:
        print(f"FAILED: {line}")
    print(f"{name}: {result.passed} passed, {len(result.failed)} failed, {len(result.skipped)} skipped"
          f" ({time.monotonic() - start:.0f} s)", flush=True)
    return result


def main():
    words = sys.argv[1:]
    if words[:1] == ["--list"]:
        print_groups(chosen(words[1:]))
        return 0
    names = chosen(words)
    print_groups(names)
    print("\nbuilding", flush=True)
    wrong = build("build")
    if wrong:
        print(f"FAILED: {wrong}\n0 passed, 1 failed, 0 skipped")
        return 1
    results = [run_group(name) for name in names]
    failed = [line for r in results for line in r.failed]
    if failed:
        print("\nfailed:\n" + "\n".join(f"  {line}" for line in failed))
    print(f"\n{sum(r.passed for r in results)} passed, {len(failed)} failed,"
          f" {sum(len(r.skipped) for r in results)} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
