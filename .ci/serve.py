#!/usr/bin/env python3
"""What `mini-wasm serve` promises under load, beside `wasmtime serve` where there is one.

    .ci/serve.py [rate] [echo] [slow] [drain] [soak]     all of them if none is named

rate   requests per second, in alternating runs; server and wrk on different cores. At least 1.0 of wasmtime's default and 0.7
       of its best (pooling, pages kept resident), no reply but 2xx.
echo   a POST of GIB (default 1) GiB comes back whole, and memory grows by less than 16 MiB.
slow   1,000 slow clients (heads, bodies, readers): the 99th percentile of healthy ones at most doubles.
drain  SIGTERM under load: whoever had asked gets a whole answer, later connects are refused, exit status 0.
soak   SOAK (default 300) seconds of load: in the last four fifths memory rises by less than 1 MiB and no descriptor is gained.

Environment: MINI_WASM (default target/release/mini-wasm), WASMTIME (default wasmtime, must have `serve`), ROUNDS (5), SECONDS (5).
Exit status 1 if a promise is broken, 77 if this machine lacks wrk.
"""

import os, re, select, shutil, signal, socket, statistics, subprocess, sys, threading, time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GUEST = str(ROOT / "guests/bin/http-server.wasm")
MINI_WASM = os.environ.get("MINI_WASM", str(ROOT / "target/release/mini-wasm"))
WASMTIME = os.environ.get("WASMTIME", "wasmtime")
ROUNDS, SECONDS = int(os.environ.get("ROUNDS", 5)), int(os.environ.get("SECONDS", 5))
CORES = sorted(os.sched_getaffinity(0))
# The server has the first core, whoever asks the last.
SERVER, CLIENT = str(CORES[0]), str(CORES[-1])
broken = []


def judge(holds, text):
    print(f"{'ok    ' if holds else 'BROKEN'} {text}", flush=True)
    if not holds:
        broken.append(text)


class Server:
    """A process that serves at a free port."""

    def __init__(self, *command):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        words = [word.replace("PORT", str(self.port)) for word in command]
        self.process = subprocess.Popen(["taskset", "-c", SERVER, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                self.connect().close()
                return
            except ConnectionRefusedError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        raise SystemExit(f"it does not serve: {' '.join(words)}")

    @classmethod
    def ours(cls, *flags):
        return cls(MINI_WASM, "serve", "--quiet", "--addr", "127.0.0.1:PORT", *flags, GUEST)

    @classmethod
    def wasmtime(cls, *flags):
        return cls(WASMTIME, "serve", "-Scli", "--addr", "127.0.0.1:PORT", *flags, GUEST)

    def connect(self, source="127.0.0.1"):
        return socket.create_connection(("127.0.0.1", self.port), timeout=60, source_address=(source, 0))

    def status(self, name):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def forget_peak(self):
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def end(self):
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.end()

    def processor(self):
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wrk(server, seconds, connections=16, path="/", *more):
    """Requests per second, the 99th percentile in milliseconds, and what went wrong."""
    command = ["taskset", "-c", CLIENT, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", *more]
    text = subprocess.run([*command, f"http://127.0.0.1:{server.port}{path}"], capture_output=True, text=True).stdout
    rate = float(re.search(r"Requests/sec:\s*([\d.]+)", text)[1])
    amount, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    late = float(amount) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
    wrong = re.findall(r"Non-2xx.*|Socket errors.*", text)
    return rate, late, wrong


def rate():
    sides = {"ours": Server.ours}
    # A build without it takes the word for a file.
    if shutil.which(WASMTIME) and b"unexpected argument" in subprocess.run([WASMTIME, "serve", "--none"], capture_output=True).stderr:
        sides["wasmtime"] = Server.wasmtime
        keep = [f"-Opooling-{what}-keep-resident=1048576" for what in ("memory", "table")]
        sides["wasmtime pooled"] = lambda: Server.wasmtime("-Opooling-allocator=y", *keep)
    else:
        print(f"no `{WASMTIME} serve`: nothing to compare with")
    rates, costs, wrong = {name: [] for name in sides}, {name: [] for name in sides}, []
    for at in range(ROUNDS):
        # Whoever comes first does not always do so.
        for name in list(sides) if at % 2 == 0 else list(sides)[::-1]:
            with sides[name]() as server:
                wrk(server, 1)
                before = server.processor()
                result = wrk(server, SECONDS)
                rates[name].append(result[0])
                costs[name].append((server.processor() - before) / (result[0] * SECONDS) * 1e6)
                wrong += result[2] if name == "ours" else []
    medians = {name: statistics.median(found) for name, found in rates.items()}
    for name, found in rates.items():
        print(f"       {name}: {medians[name]:.0f}/s, median of {[round(one) for one in found]}; "
              f"{statistics.median(costs[name]):.1f} us of processor time for each, of {[round(one) for one in costs[name]]}")
    judge(not wrong, f"no reply but 2xx {wrong or ''}")
    for name, goal in (("wasmtime", 1.0), ("wasmtime pooled", 0.7)):
        if name in medians:
            part = medians["ours"] / medians[name]
            judge(part >= goal, f"rate is {part:.2f} of {name}'s (goal {goal})")


def echo():
    total = int(float(os.environ.get("GIB", 1)) * 2**30)
    piece = bytes(range(256)) * 256
    head = "POST /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n\r\n"

    def go(server, total):
        stream = server.connect()
        stream.sendall(head.format(total).encode())

        def send():
            for _ in range(total // len(piece)):
                stream.sendall(piece)

        sender = threading.Thread(target=send)
        sender.start()
        reader = stream.makefile("rb", buffering=1 << 20)
        assert b" 200 " in reader.readline()
        while reader.readline() not in (b"\r\n", b""):
            pass
        came, whole = 0, True
        while size := int(reader.readline() or b"0", 16):
            data = reader.read(size)
            at = came % 256
            whole &= data == (piece * (2 + size // len(piece)))[at : at + size]
            came += size
            reader.readline()
        sender.join()
        return came, whole

    with Server.ours("--timeout", "1h") as server:
        go(server, 16 * len(piece))
        server.forget_peak()
        before = server.status("VmRSS")
        begun = time.time()
        came, whole = go(server, total)
        grown = server.status("VmHWM") - before
        judge(whole and came == total, f"{came} of {total} bytes came back in {time.time() - begun:.1f} s, as they were: {whole}")
        judge(grown < 16 * 2**20, f"memory grew by {grown / 2**20:.1f} MiB")


class Slow(threading.Thread):
    """Clients that are slow, each in its way, for as long as this runs."""

    WAYS = {"head": b"GET / HTTP/1.1\r\nhost: a\r\nx-", "body": b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n",
            "reader": b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000000\r\n\r\n"}

    def __init__(self, server, counts):
        super().__init__(daemon=True)
        self.server, self.counts, self.over = server, counts, False
        self.streams = {}
        self.begun = 0

    def begin(self, way):
        # Each from an address of its own: one address has its share of requests and no more.
        self.begun += 1
        stream = self.server.connect(f"127.1.{self.begun // 250 % 250}.{self.begun % 250 + 1}")
        stream.sendall(self.WAYS[way])
        stream.setblocking(False)
        self.streams[stream] = way

    def run(self):
        os.sched_setaffinity(0, {int(CLIENT)})
        for way, count in self.counts.items():
            for _ in range(count):
                self.begin(way)
        while not self.over:
            turn = time.time()
            for stream, way in list(self.streams.items()):
                try:
                    # A reader that never reads sends whatever is taken.
                    stream.send(b"x" * 65536 if way == "reader" else b"x")
                except BlockingIOError:
                    pass
                except OSError:
                    # The server has lost patience.
                    del self.streams[stream]
                    stream.close()
                    self.begin(way)
                if self.over:
                    break
                time.sleep(0.0005)
            time.sleep(max(0, turn + 1 - time.time()))
        for stream in self.streams:
            stream.close()


def slow():
    without, with_them, wrong = [], [], []
    with Server.ours() as server:
        wrk(server, 1)
        for _ in range(3):
            without.append(wrk(server, SECONDS, 8)[1])
            clients = Slow(server, {"head": 400, "body": 300, "reader": 300})
            clients.start()
            while len(clients.streams) < 1000:
                time.sleep(0.1)
            time.sleep(2)
            _, late, failed = wrk(server, SECONDS, 8)
            with_them.append(late)
            wrong += failed
            clients.over = True
            clients.join()
            time.sleep(2)
    before, after = statistics.median(without), statistics.median(with_them)
    judge(not wrong, f"healthy clients get nothing but 2xx beside slow ones {wrong or ''}")
    judge(after <= 2 * before, f"99th percentile {before:.2f} ms, {after:.2f} ms with 1,000 slow clients ({without}, {with_them})")


def drain():
    with Server.ours() as server:
        answers, failures, asked = [], [], []

        def ask():
            # `/wait` is answered after a second: the signal comes in between.
            stream = server.connect()
            stream.sendall(b"GET /wait HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            asked.append(time.time())
            text = b""
            try:
                while more := stream.recv(65536):
                    text += more
            except OSError as error:
                failures.append(error)
            answers.append(text)

        load = subprocess.Popen(["taskset", "-c", CLIENT, "wrk", "-t1", "-c16", "-d3s", f"http://127.0.0.1:{server.port}/"],
                                stdout=subprocess.DEVNULL)
        time.sleep(1)
        threads = [threading.Thread(target=ask) for _ in range(200)]
        for thread in threads:
            thread.start()
        while len(asked) < len(threads):
            time.sleep(0.01)
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        try:
            server.connect().close()
            refused = False
        except ConnectionRefusedError:
            refused = True
        for thread in threads:
            thread.join()
        load.wait()
        status = server.process.wait(60)
        whole = sum(b" 200 " in text and text.endswith((b"waited\n", b"waited\n\r\n0\r\n\r\n")) for text in answers)
        judge(whole == len(threads), f"{whole} of {len(threads)} requests under way were answered whole {failures or ''}")
        judge(refused, "later connects are refused")
        judge(status == 0, f"exit status {status}")


def soak():
    seconds = int(os.environ.get("SOAK", 300))
    script = ROOT / "target/serve-soak.lua"
    script.parent.mkdir(exist_ok=True)
    script.write_text("""
local at, body = 0, string.rep("x", 20000)
request = function()
  at = at + 1
  if at % 3 == 0 then return wrk.format("POST", "/echo", nil, body) end
  if at % 100 == 1 then return wrk.format("GET", "/trap") end
  return wrk.format("GET", "/")
end
""")
    with Server.ours() as server:
        load = subprocess.Popen(["taskset", "-c", CLIENT, "wrk", "-t1", "-c32", f"-d{seconds + 5}s", "-s", str(script),
                                 f"http://127.0.0.1:{server.port}/"], stdout=subprocess.PIPE, text=True)
        begun, samples = time.time(), []
        while (now := time.time() - begun) < seconds:
            if now > seconds / 5:
                samples.append((now, server.status("VmRSS"), server.descriptors()))
            time.sleep(2)
        print("      ", re.search(r"Requests/sec:.*", load.communicate()[0])[0])
    times, memory, descriptors = zip(*samples)
    slope = statistics.linear_regression(times, memory).slope * (times[-1] - times[0]) / 2**20
    judge(slope < 1, f"in {times[-1] - times[0]:.0f} s memory rose by {slope:.2f} MiB (from {memory[0] / 2**20:.1f} to {memory[-1] / 2**20:.1f})")
    tenth = max(1, len(samples) // 10)
    first, last = statistics.median(descriptors[:tenth]), statistics.median(descriptors[-tenth:])
    judge(last <= first, f"descriptors: {first} at first, {last} at last")


PARTS = {part.__name__: part for part in (rate, echo, slow, drain, soak)}
if __name__ == "__main__":
    if not shutil.which("wrk"):
        print("no wrk: apt-get install wrk")
        sys.exit(77)
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    for name in sys.argv[1:] or PARTS:
        print(f"-- {name}", flush=True)
        PARTS[name]()
    print(f"{len(broken)} promises broken")
    sys.exit(bool(broken))
