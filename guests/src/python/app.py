"""A whole CPython inside a component: arguments, environment, stdin, files, json, regular expressions, big integers, clocks,
random, generators, exceptions. Argument 1 may name a preopened directory; `exit=N` sets the exit code (any N but 0
arrives as 1), `raise` ends with an exception that nobody catches.
"""

# What is not imported here is not in the component: componentize-py runs the imports once and keeps what they loaded.
import hashlib
import heapq  # Counter.most_common imports it when it is called
import json
import os
import re
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import islice

from wit_world import exports


@dataclass
class Order:
    item: str
    count: int
    price: float


def primes():
    found = []
    n = 2
    while True:
        if all(n % p for p in found):
            found.append(n)
            yield n
        n += 1


def language():
    orders = [Order("bolt", 3, 0.25), Order("né☃", 2, 1e-3)]
    text = json.dumps([asdict(o) for o in orders], ensure_ascii=False, sort_keys=True)
    print(text)
    assert [Order(**d) for d in json.loads(text)] == orders
    print(json.dumps({"nested": [1, [2, {"three": None}]], "t": True}, indent=1))
    print(2**200 % 10**30, Fraction(1, 3) + Fraction(1, 6), divmod(-7, 3), 0.1 + 0.2)
    print(list(islice(primes(), 15)))
    print(hashlib.sha256(b"mini-wasm").hexdigest())
    print(re.sub(r"(\w+)@(\w+)", r"\2 at \1", "ada@home, bob@work"))
    print(heapq.nsmallest(3, [5, 2, 9, 1]), Counter("mississippi").most_common(3), sorted({"b", "a", "c"}), f"{255:#x} {3.14159:.2f} {'x':>4}")
    try:
        {}["missing"]
    except KeyError as error:
        print("caught", repr(error))
    try:
        def descend(n):
            return descend(n + 1) + 1
        descend(0)
    except RecursionError:
        print("caught RecursionError")


def machine():
    print("wall clock past 2024:", time.time() > 1704067200)
    start = time.monotonic()
    time.sleep(0.02)
    print("slept:", 0.02 <= time.monotonic() - start < 20)
    a, b = os.urandom(32), os.urandom(32)
    print("random:", a != b and len(a) == 32)


def files(root):
    with open(f"{root}/given.txt", encoding="utf-8") as given:
        print("given:", [line.rstrip("\n") for line in given])
    os.makedirs(f"{root}/deep/er")
    for i in range(5):
        with open(f"{root}/deep/er/{i}.json", "w", encoding="utf-8") as out:
            json.dump({"i": i, "squares": [n * n for n in range(i)]}, out)
    print("listed:", sorted(os.listdir(f"{root}/deep/er")), os.path.getsize(f"{root}/deep/er/4.json"))
    print("sum:", sum(json.load(open(f"{root}/deep/er/{i}.json"))["i"] for i in range(5)))
    print("walked:", [(os.path.relpath(d, root), sorted(s), len(f)) for d, s, f in os.walk(root)])
    os.rename(f"{root}/deep/er/3.json", f"{root}/kept.json")
    for i in (0, 1, 2, 4):
        os.remove(f"{root}/deep/er/{i}.json")
    os.rmdir(f"{root}/deep/er")
    os.rmdir(f"{root}/deep")
    for path in (f"{root}/../outside", "/etc/passwd", f"{root}/absent"):
        try:
            open(path)
            print("OPENED", path)
        except OSError as error:
            print(type(error).__name__ if path.endswith("absent") else "refused")


class Run(exports.Run):
    def run(self) -> None:
        arguments = sys.argv[1:]
        print("arguments:", arguments)
        print("environment:", {k: v for k, v in sorted(os.environ.items()) if not k.startswith("PYTHON")})
        lines = sys.stdin.read().splitlines()
        print("stdin:", len(lines), lines)
        language()
        machine()
        if arguments and arguments[0].startswith("/"):
            files(arguments[0])
        sys.stdout.flush()
        if "raise" in arguments:
            raise ValueError("as the argument asked")
        codes = [int(a.removeprefix("exit=")) for a in arguments if a.startswith("exit=")]
        if codes:
            sys.exit(codes[0])
