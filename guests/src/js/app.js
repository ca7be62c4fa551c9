// A whole JavaScript engine (SpiderMonkey) inside a component: arguments, environment, stdin, a directory, clocks, random,
// and the language: closures, generators, BigInt, regular expressions, typed arrays, JSON, Map, classes, exceptions.
// `exit=N` sets the exit code (any N but 0 arrives as 1), `throw` ends with an error that nobody catches.

import { getArguments, getEnvironment } from 'wasi:cli/environment@0.2.12';
import { exit } from 'wasi:cli/exit@0.2.12';
import { getStdin } from 'wasi:cli/stdin@0.2.12';
import { now } from 'wasi:clocks/monotonic-clock@0.2.12';
import { getDirectories } from 'wasi:filesystem/preopens@0.2.12';
import { getRandomBytes } from 'wasi:random/random@0.2.12';

class Account {
  #balance = 0n;
  deposit(amount) {
    if (amount < 0n) throw new RangeError(`negative amount ${amount}`);
    this.#balance += amount;
    return this;
  }
  get balance() {
    return this.#balance;
  }
}

function* primes() {
  const found = [];
  for (let n = 2; ; n++) {
    if (found.every((p) => n % p)) {
      found.push(n);
      yield n;
    }
  }
}

function take(count, iterator) {
  const taken = [];
  for (const value of iterator) {
    if (taken.push(value) === count) break;
  }
  return taken;
}

function language() {
  console.log('primes:', take(12, primes()).join(' '));
  console.log('bigint:', (2n ** 128n).toString(), BigInt.asIntN(64, 2n ** 63n).toString());
  const orders = [{ item: 'bolt', count: 3, price: 0.25 }, { item: 'né☃', count: 2, price: 1e-7 }];
  console.log('json:', JSON.stringify(orders), JSON.stringify(JSON.parse('{"a":[1,{"b":null}]}')));
  console.log('regexp:', 'ada@home, bob@work'.replace(/(?<who>\w+)@(?<where>\w+)/g, '$<where> at $<who>'));
  console.log('map:', [...new Map([...'mississippi'].map((c, i) => [c, i]))].map(([c, i]) => c + i).join(','));
  console.log('sort:', [10, 9, 1, 100].sort().join(','), [10, 9, 1, 100].sort((a, b) => a - b).join(','));
  console.log('numbers:', 0.1 + 0.2, (255).toString(16), (1e21).toString(), Math.fround(0.1), -7 % 3, 1 / 0);
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, Math.PI);
  console.log('bytes:', [...new Uint8Array(view.buffer)].join(' '));
  console.log('text:', 'naïve ☃'.toUpperCase(), [...'a😀b'].length, 'a😀b'.length, new TextEncoder().encode('☃').join(' '));
  const account = new Account().deposit(5n).deposit(37n);
  try {
    account.deposit(-1n);
  } catch (error) {
    console.log('caught:', error instanceof RangeError, error.message, account.balance.toString());
  }
  try {
    (function descend() {
      descend();
    })();
  } catch (error) {
    console.log('caught:', error instanceof RangeError || error.constructor.name);
  }
  let hash = 0;
  for (let i = 0; i < 300000; i++) hash = (Math.imul(hash, 31) + i) | 0;
  console.log('loop:', hash);
}

function readAll(stream) {
  const bytes = [];
  for (;;) {
    let chunk;
    try {
      chunk = stream.blockingRead(4096n);
    } catch (error) {
      if ((error.payload ?? error).tag === 'closed') return new Uint8Array(bytes);
      throw error;
    }
    bytes.push(...chunk);
  }
}

function machine() {
  const start = now();
  console.log('monotonic:', now() >= start);
  console.log('wall clock past 2024:', Date.now() > 1704067200000);
  const [a, b] = [getRandomBytes(32n), getRandomBytes(32n)];
  console.log('random:', a.length === 32 && a.some((byte, i) => byte !== b[i]));
}

function files() {
  for (const [root, path] of getDirectories()) {
    const write = { create: true, truncate: true };
    const file = root.openAt({}, 'from-js.txt', write, { read: true, write: true });
    file.write(new TextEncoder().encode('written by né☃\n'), 0n);
    const [bytes] = file.read(100n, 11n);
    console.log('file:', path, file.stat().size.toString(), new TextDecoder().decode(bytes).trim());
    const names = [];
    const entries = root.readDirectory();
    for (let entry; (entry = entries.readDirectoryEntry()); ) names.push(`${entry.name} ${entry.type}`);
    console.log('listed:', names.sort().join(', '));
    try {
      root.openAt({}, '../outside', {}, { read: true });
      console.log('OPENED');
    } catch (error) {
      console.log('refused:', error.payload ?? error);
    }
  }
}

export const run = {
  run() {
    const args = getArguments().slice(1);
    console.log('arguments:', JSON.stringify(args));
    console.log('environment:', JSON.stringify(getEnvironment()));
    console.log('stdin:', JSON.stringify(new TextDecoder().decode(readAll(getStdin()))));
    language();
    machine();
    files();
    if (args.includes('throw')) throw new Error('as the argument asked');
    const code = args.find((arg) => arg.startsWith('exit='));
    if (code) exit(Number(code.slice(5)) === 0 ? { tag: 'ok' } : { tag: 'err' });
  },
};
