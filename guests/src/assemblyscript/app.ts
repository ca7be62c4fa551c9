// AssemblyScript through its WASI shim: arguments, environment, standard input, garbage that must be collected, maps, sorting,
// classes with virtual methods, 64-bit and floating-point formatting, the monotonic clock. The argument `exit=N` sets the
// exit status.

abstract class Shape {
  abstract area(): f64;
  describe(): string {
    return this.name() + " " + this.area().toString();
  }
  abstract name(): string;
}

class Square extends Shape {
  constructor(private side: f64) {
    super();
  }
  area(): f64 {
    return this.side * this.side;
  }
  name(): string {
    return "square";
  }
}

class Circle extends Shape {
  constructor(private radius: f64) {
    super();
  }
  area(): f64 {
    return Math.PI * this.radius * this.radius;
  }
  name(): string {
    return "circle";
  }
}

class Node {
  constructor(public value: i64, public next: Node | null) {}
}

// Lists that are dropped one after another: far more than the heap could hold.
function garbage(rounds: i32): i64 {
  let sum: i64 = 0;
  for (let round = 0; round < rounds; round++) {
    let list: Node | null = null;
    for (let i = 0; i < 1000; i++) list = new Node(round * 1000 + i, list);
    while (list) {
      sum += list.value;
      list = list.next;
    }
  }
  return sum;
}

// Standard input as text.
function input(): string {
  const chunk = new ArrayBuffer(256);
  let bytes = new Uint8Array(0);
  let count = process.stdin.read(chunk);
  while (count > 0) {
    const grown = new Uint8Array(bytes.length + count);
    grown.set(bytes);
    grown.set(Uint8Array.wrap(chunk, 0, count), bytes.length);
    bytes = grown;
    count = process.stdin.read(chunk);
  }
  return String.UTF8.decode(bytes.buffer);
}

function words(text: string): string {
  const counts = new Map<string, i32>();
  const all = text.replaceAll("\n", " ").split(" ");
  for (let i = 0; i < all.length; i++) {
    const word = all[i].toLowerCase();
    if (word.length == 0) continue;
    counts.set(word, counts.has(word) ? counts.get(word) + 1 : 1);
  }
  const names = counts.keys().sort();
  let line = "";
  for (let i = 0; i < names.length; i++) line += " " + names[i] + "=" + counts.get(names[i]).toString();
  return line;
}

const args = process.argv.slice(1);
console.log("arguments: " + args.join(" | "));
console.log("GREETING: " + (process.env.has("GREETING") ? process.env.get("GREETING") : "none"));
console.log("words:" + words(input()));
const shapes: Shape[] = [new Square(1.5), new Circle(1)];
for (let i = 0; i < shapes.length; i++) console.log(shapes[i].describe());
console.log("garbage: " + garbage(5000).toString());
console.log("numbers: " + i64.MIN_VALUE.toString() + " " + u64.MAX_VALUE.toString(16) + " " + (0.1 + 0.2).toString() + " " + (<f32>0.1).toString());
const begun = process.hrtime();
console.log("the clock goes on: " + (process.hrtime() >= begun).toString());
for (let i = 0; i < args.length; i++) {
  if (args[i].startsWith("exit=")) process.exit(I32.parseInt(args[i].substring(5)));
}
