#!/usr/bin/env python3
"""Runs the cases of this folder in a reference engine (PyPI wasmtime, a library) and compares, as the test of cli/ does
with mini-wasm. README.md of guests/ describes the files of a case.

  oracle.py [CASE...]            compare; exit code 1 on a difference
  oracle.py --write CASE...      write what the reference engine gave (then read it: it must be what the source says)

Needs: pip install wasmtime (50.0.1 was used). Big guests are looked for in $GUESTS_BIG.
"""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
BIN = HERE.parent / "bin"
BIG = Path(os.environ.get("GUESTS_BIG", HERE.parent / "target" / "big"))
TRAP = 134


def lines(case, name):
    file = case / name
    return file.read_text().splitlines() if file.exists() else []


def guest_path(case):
    name = (case / "guest").read_text().strip()
    return next((folder / name for folder in (BIN, BIG) if (folder / name).exists()), None)


def child(case, work):
    """Runs one guest in this process; stdout, stderr go to files in `work`; the exit code is this process's."""
    import wasmtime
    from wasmtime import component

    config = wasmtime.Config()
    config.epoch_interruption = True
    engine = wasmtime.Engine(config)
    store = wasmtime.Store(engine)
    flags = lines(case, "flags")
    limit = next((f.split("=")[1] for f in flags if f.startswith("--max-memory=")), None)
    if limit:
        unit = {"KiB": 10, "MiB": 20}[limit[-3:]]
        store.set_limits(memory_size=int(limit[:-3]) << unit)
    if any(f.startswith("--timeout=") for f in flags):
        import threading

        threading.Timer(1.0, engine.increment_epoch).start()
    store.set_epoch_deadline(1)
    wasi = wasmtime.WasiConfig()
    path = guest_path(case)
    wasi.argv = [path.name, *lines(case, "args")]
    wasi.env = [line.split("=", 1) for line in lines(case, "env")]
    stdin = case / "stdin"
    wasi.stdin_file = str(stdin) if stdin.exists() else "/dev/null"
    wasi.stdout_file = str(work / "stdout")
    wasi.stderr_file = str(work / "stderr")
    for at in lines(case, "preopen"):
        wasi.preopen_dir(str(work / "dir"), at.removesuffix("::ro"), not at.endswith("::ro"))
    store.set_wasi(wasi)
    if path.read_bytes()[4:8] == b"\x01\0\0\0":
        core(engine, store, path, work)
    linker = component.Linker(engine)
    linker.add_wasip2()
    linker.add_wasi_http()
    store.set_wasi_http()
    try:
        guest = component.Component.from_file(engine, str(path))
        instance = linker.instantiate(store, guest)
        for minor in range(20):
            run = instance.get_export_index(store, f"wasi:cli/run@0.2.{minor}")
            if run is not None:
                break
        function = instance.get_func(store, instance.get_export_index(store, "run", run))
        result = function(store)
        function.post_return(store)
        code = 0 if result.tag == "ok" else 1
    except wasmtime.ExitTrap as exit_:
        code = exit_.code
    except (wasmtime.Trap, wasmtime.WasmtimeError) as trap:
        with open(work / "stderr", "a") as stderr:
            stderr.write(f"{trap}\n")
        text = str(trap)
        code = TRAP
        if "Exited with i32 exit status" in text:
            code = int(text.split("Exited with i32 exit status")[1].split()[0])
    os._exit(code)


def core(engine, store, path, work):
    """Runs a core module of WASI preview 1; does not return."""
    import wasmtime

    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    code = 0
    try:
        instance = linker.instantiate(store, wasmtime.Module.from_file(engine, str(path)))
        instance.exports(store)["_start"](store)
    except wasmtime.ExitTrap as exit_:
        code = exit_.code
    except (wasmtime.Trap, wasmtime.WasmtimeError) as trap:
        with open(work / "stderr", "a") as stderr:
            stderr.write(f"{trap}\n")
        code = TRAP
    os._exit(code)


def run(case, write):
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "dir").mkdir()
        if (case / "dir").exists():
            shutil.copytree(case / "dir", work / "dir", dirs_exist_ok=True)
        for out in ("stdout", "stderr"):
            (work / out).touch()
        code = subprocess.run([sys.executable, __file__, "--child", case, work]).returncode
        stdout, stderr = (work / "stdout").read_bytes(), (work / "stderr").read_text(errors="replace")
        if write:
            (case / "stdout").write_bytes(stdout)
            (case / "code").write_text(f"{code}\n")
            print(f"--- {case.name}: code {code}\n{stdout.decode(errors='replace')}", end="")
            if stderr:
                print(f"--- stderr\n{stderr}")
        wrong = []
        # Where the reference engine does not do what WIT says.
        reference = case / "stdout-wasmtime"
        if stdout != (reference if reference.exists() else case / "stdout").read_bytes():
            wrong.append(f"stdout {stdout!r}")
        if code != int((case / "code").read_text()):
            wrong.append(f"code {code}: {stderr}")
        for after in (case / "after").rglob("*") if (case / "after").exists() else ():
            left = work / "dir" / after.relative_to(case / "after")
            if after.is_file() and (not left.is_file() or left.read_bytes() != after.read_bytes()):
                wrong.append(f"{after.name} differs")
        for gone in lines(case, "gone"):
            if (work / "dir" / gone).exists():
                wrong.append(f"{gone} is still there")
        # The lines of `stderr` are mini-wasm's words; those of the guest itself can be compared here.
        for expected in lines(case, "stderr"):
            if code != TRAP and expected not in stderr:
                wrong.append(f"stderr without {expected!r}: {stderr}")
            elif code == TRAP and expected not in stderr:
                print(f"note {case.name}: the reference does not say {expected!r}")
        return wrong


def main():
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), Path(sys.argv[3]))
    write = sys.argv[1:2] == ["--write"]
    names = sys.argv[2:] if write else sys.argv[1:]
    cases = [HERE / n for n in names] or sorted(c for c in HERE.iterdir() if (c / "guest").exists())
    failed = skipped = 0
    for case in cases:
        if guest_path(case) is None:
            print(f"skipped {case.name}: {(case / 'guest').read_text().strip()} is not built")
            skipped += 1
            continue
        if (case / "stdin-open").exists():
            print(f"skipped {case.name}: the reference cannot be stopped while it reads")
            skipped += 1
            continue
        for what in run(case, write):
            print(f"FAILED {case.name}: {what}")
            failed += 1
    print(f"{len(cases)} cases, {failed} differences, {skipped} skipped")
    sys.exit(failed > 0)


main()
