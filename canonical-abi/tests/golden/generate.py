#!/usr/bin/env python3
"""Golden vectors for the Canonical ABI, from the specification's own executable form.

    python3 generate.py PATH/TO/definitions.py > vectors.txt

definitions.py lies in the crate wasm-tools (1.263.0) at tests/component-model/design/mvp/canonical-abi/. Python 3.11 is
enough. Same seed, same output: the file is committed, and tests/golden.rs reads it. One vector a line:

    type TYPE = ALIGN32 SIZE32 ALIGN64 SIZE64 FLAT32 FLAT64
    store ENC PTR TYPE VALUE = MEMORY CALLS                  stored at address 16
    load ENC PTR TYPE MEMORY = VALUE | trap                  loaded from address 16
    lower ENC PTR MAX N TYPE.. VALUE.. = FLAT.. MEMORY CALLS
    lift ENC PTR TYPE BYTES FLAT.. = VALUE | trap            the whole memory is BYTES

Types and values are in prefix notation, tokens parted by blanks (see `type_text`, `value_text`). Memories are in
hexadecimal and begin as 0xa5 everywhere; regions are handed out one after the other from address START, so padding
and every call of realloc are part of what is compared. Each vector begins with three owned handles in the table.
"""

import random
import struct
import sys

START = 512
SIZE = 4096
BASE = 16
ENCODINGS = ['utf8', 'utf16', 'latin1+utf16']

source = 'from __future__ import annotations\n' + open(sys.argv[1]).read()
d = {'__name__': 'definitions'}
sys.modules['definitions'] = type(sys)('definitions')
d = sys.modules['definitions'].__dict__
exec(compile(source, 'definitions.py', 'exec'), d)
d['DETERMINISTIC_PROFILE'] = True

rng = random.Random(20261120)
RT = d['ResourceType'](None)

PRIMS = [('bool', 'BoolType'), ('s8', 'S8Type'), ('u8', 'U8Type'), ('s16', 'S16Type'), ('u16', 'U16Type'),
         ('s32', 'S32Type'), ('u32', 'U32Type'), ('s64', 'S64Type'), ('u64', 'U64Type'), ('f32', 'F32Type'),
         ('f64', 'F64Type'), ('char', 'CharType'), ('string', 'StringType')]


class T:
    """A type: the specification's object, its text, how to make a value, and how to print one."""

    def __init__(self, spec, text, make, show):
        self.spec, self.text, self.make, self.show = spec, text, make, show


def int_type(name, spec, bits, signed):
    def make():
        edge = rng.choice([0, 1, (1 << bits) - 1, 1 << (bits - 1), rng.getrandbits(bits)])
        return edge - (1 << bits) if signed and edge >= 1 << (bits - 1) else edge
    return T(spec, name, make, str)


def f32_bits(v):
    return struct.unpack('<I', struct.pack('<f', v))[0]


def f64_bits(v):
    return struct.unpack('<Q', struct.pack('<d', v))[0]


def make_f32():
    bits = rng.choice([0, 1 << 31, 0x7f800000, 0x7fc00000, 0x7fa00001, 0xffc12345, rng.getrandbits(32)])
    return struct.unpack('<f', struct.pack('<I', bits))[0]


def make_f64():
    bits = rng.choice([0, 1 << 63, 0x7ff << 52, 0x7ff8 << 48, 0x7ff4 << 48 | 1, 0xfff8 << 48 | 77, rng.getrandbits(64)])
    return struct.unpack('<d', struct.pack('<Q', bits))[0]


def make_char():
    while True:
        c = rng.choice([0, 0x41, 0x7f, 0x80, 0xff, 0x100, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff,
                        rng.randrange(0x110000)])
        if not 0xd800 <= c < 0xe000:
            return chr(c)


def make_string(ptr='i32'):
    kind = rng.randrange(6)
    n = rng.choice([0, 1, 2, 5, 9])
    if kind < 2:
        s = ''.join(chr(rng.randrange(0x20, 0x7f)) for _ in range(n))
    elif kind < 4:
        s = ''.join(chr(rng.randrange(0x20, 0x100)) for _ in range(n))
    else:
        s = ''.join(make_char() if rng.randrange(3) == 0 else rng.choice('aäö☃🍰') for _ in range(n))
    latin1 = all(ord(c) < 256 for c in s)
    source = rng.randrange(5)
    if source <= 1:
        return (s, 'utf8', len(s.encode('utf-8')))
    if source == 2:
        return (s, 'utf16', len(s.encode('utf-16-le')) // 2)
    if source == 3 and latin1:
        return (s, 'latin1+utf16', len(s))
    return (s, 'latin1+utf16', ('tag', len(s.encode('utf-16-le')) // 2))


def with_tags(v, ptr):
    """The tag of a latin1+utf16 source stands where the destination's pointers are wide."""
    if isinstance(v, tuple):
        units = v[2]
        return (v[0], v[1], units[1] | d['utf16_tag'](ptr)) if isinstance(units, tuple) else v
    if isinstance(v, dict):
        return {k: with_tags(x, ptr) for k, x in v.items()}
    if isinstance(v, list):
        return [with_tags(x, ptr) for x in v]
    return v


def show_string(v):
    s, encoding, units = v
    if encoding == 'latin1+utf16':
        tagged = isinstance(units, tuple) or units >= 1 << 31
        source = 't' if tagged else 'l'
    else:
        source = {'utf8': 'u', 'utf16': 'w'}[encoding]
    return source + s.encode('utf-8').hex()


def prim(name, spec):
    t = d[spec]()
    if name == 'bool':
        return T(t, name, lambda: rng.random() < 0.5, lambda v: str(int(v)))
    if name == 'f32':
        return T(t, name, make_f32, lambda v: '%x' % f32_bits(v))
    if name == 'f64':
        return T(t, name, make_f64, lambda v: '%x' % f64_bits(v))
    if name == 'char':
        return T(t, name, make_char, lambda v: str(ord(v)))
    if name == 'string':
        return T(t, name, make_string, show_string)
    return int_type(name, t, int(name[1:]), name[0] == 's')


def list_of(e, n=None):
    def make():
        return [e.make() for _ in range(rng.choice([0, 1, 2, 3]) if n is None else n)]

    def show(v):
        return ' '.join(([str(len(v))] if n is None else []) + [e.show(x) for x in v])
    return T(d['ListType'](e.spec, n), 'list ' + e.text if n is None else 'flist %d %s' % (n, e.text), make, show)


def record_of(fields, tuple_):
    labels = [str(i) if tuple_ else 'f%d' % i for i in range(len(fields))]
    spec = (d['TupleType']([f.spec for f in fields]) if tuple_ else
            d['RecordType']([d['FieldType'](l, f.spec) for l, f in zip(labels, fields)]))
    text = '%s %d %s' % ('tuple' if tuple_ else 'record', len(fields), ' '.join(f.text for f in fields))
    return T(spec, text, lambda: {l: f.make() for l, f in zip(labels, fields)},
             lambda v: ' '.join(f.show(v[l]) for l, f in zip(labels, fields)))


def cases_of(spec, text, labels, payloads):
    def make():
        i = rng.choice([0, len(labels) - 1, rng.randrange(len(labels))])
        return {labels[i]: payloads[i].make() if payloads[i] else None}

    def show(v):
        [(label, x)] = v.items()
        i = labels.index(label)
        return '%d %s' % (i, payloads[i].show(x)) if payloads[i] else str(i)
    return T(spec, text, make, show)


def payload_text(p):
    return p.text if p else '_'


def variant_of(payloads):
    labels = ['c%d' % i for i in range(len(payloads))]
    spec = d['VariantType']([d['CaseType'](l, p.spec if p else None) for l, p in zip(labels, payloads)])
    return cases_of(spec, 'variant %d %s' % (len(payloads), ' '.join(map(payload_text, payloads))), labels, payloads)


def enum_of(n):
    labels = ['e%d' % i for i in range(n)]
    return cases_of(d['EnumType'](labels), 'enum %d' % n, labels, [None] * n)


def option_of(t):
    return cases_of(d['OptionType'](t.spec), 'option ' + t.text, ['none', 'some'], [None, t])


def result_of(ok, error):
    spec = d['ResultType'](ok.spec if ok else None, error.spec if error else None)
    return cases_of(spec, 'result %s %s' % (payload_text(ok), payload_text(error)), ['ok', 'error'], [ok, error])


def flags_of(n):
    labels = ['b%d' % i for i in range(n)]
    return T(d['FlagsType'](labels), 'flags %d' % n, lambda: {l: rng.random() < 0.5 for l in labels},
             lambda v: str(sum(v[l] << i for i, l in enumerate(labels))))


def map_of(k, v):
    e = record_of([k, v], True)
    return T(d['MapType'](k.spec, v.spec), 'map %s %s' % (k.text, v.text),
             lambda: [e.make() for _ in range(rng.randrange(3))],
             lambda x: ' '.join([str(len(x))] + [e.show(y) for y in x]))


def own():
    return T(d['OwnType'](RT), 'own', lambda: rng.getrandbits(32), str)


def random_type(depth):
    kind = rng.randrange(12) if depth > 0 else 0
    sub = lambda: random_type(depth - 1)
    maybe = lambda: sub() if rng.random() < 0.7 else None
    if kind <= 2:
        return own() if rng.randrange(14) == 0 else prim(*rng.choice(PRIMS))
    if kind == 3:
        return list_of(sub())
    if kind == 4:
        return record_of([sub() for _ in range(rng.randrange(1, 6))], False)
    if kind == 5:
        return record_of([sub() for _ in range(rng.randrange(1, 6))], True)
    if kind == 6:
        return variant_of([maybe() for _ in range(rng.randrange(1, 6))])
    if kind == 7:
        return enum_of(rng.choice([1, 2, 3, 255, 256, 257, 300]))
    if kind == 8:
        return option_of(sub())
    if kind == 9:
        return result_of(maybe(), maybe())
    if kind == 10:
        return flags_of(rng.choice([1, 3, 8, 9, 16, 17, 31, 32]))
    if rng.randrange(2):
        return map_of(prim(*rng.choice(PRIMS)), sub())
    return list_of(sub(), rng.choice([1, 2, 3, 5]))


class Guest:
    """A memory, a realloc that always hands out a fresh region, and three handles."""

    def __init__(self, encoding, ptr, memory=None):
        self.memory = memory if memory is not None else bytearray(b'\xa5' * SIZE)
        self.next = START
        self.calls = []
        opts = d['CanonicalOptions']()
        opts.memory = d['MemInst'](self.memory, ptr)
        opts.string_encoding = encoding
        self.inst = d['ComponentInstance'](d['Store']())
        for i in range(3):
            self.inst.handles.add(d['ResourceHandle'](RT, 100 + i, own=True))
        self.cx = d['LiftLowerContext'](opts, self.inst)
        self.cx.reallocate = self.realloc

    def realloc(self, old, old_size, alignment, new_size):
        self.calls.append('%d/%d/%d/%d' % (old, old_size, alignment, new_size))
        ptr = -(-self.next // alignment) * alignment
        self.next = ptr + new_size
        if self.next > len(self.memory):
            d['trap']()
        n = min(old_size, new_size)
        self.memory[ptr:ptr + n] = self.memory[old:old + n]
        return ptr

    def used(self):
        return shown(self.memory[:self.next])

    def history(self):
        return ','.join(self.calls) or '-'


def shown(memory):
    """A memory in two pieces: what is no longer as it was from BASE, and what realloc handed out from START."""
    low = bytes(memory[BASE:START])
    return low.rstrip(b'\xa5').hex() + ':' + memory[START:].hex()


def flat_text(types):
    return ''.join({'i32': 'i', 'i64': 'I', 'f32': 'f', 'f64': 'F'}[t] for t in types) or '-'


def opts_of(ptr):
    opts = d['CanonicalOptions']()
    opts.memory = d['MemInst'](bytearray(), ptr)
    return opts


def flat_bits(v, t):
    """A core value as the bits of its slot."""
    return {'f32': f32_bits, 'f64': f64_bits}.get(t, int)(v)


def type_line(t):
    flat = {p: d['flatten_type'](t.spec, opts_of(p)) for p in ('i32', 'i64')}
    layout = [str(d[f](t.spec, p)) for p in ('i32', 'i64') for f in ('alignment', 'elem_size')]
    shown = [flat_text(flat[p]) if len(flat[p]) <= 16 else '*' for p in ('i32', 'i64')]
    print('type', t.text, '=', *layout, *shown)


def store_and_load(t, encoding, ptr):
    v = t.make()
    guest = Guest(encoding, ptr)
    if BASE + d['elem_size'](t.spec, ptr) > START:
        return
    d['store'](guest.cx, with_tags(v, ptr), t.spec, BASE)
    print('store', encoding, ptr, t.text, t.show(v), '=', guest.used(), guest.history())
    # What was stored, as it is and damaged.
    stored = bytes(guest.memory[:guest.next])
    for damage in (0, rng.choice([1, 2, 3])):
        memory = bytearray(stored)
        for _ in range(damage):
            interesting = [i for i in range(len(memory)) if i < BASE + d['elem_size'](t.spec, ptr) and i >= BASE or i >= START]
            memory[rng.choice(interesting)] = rng.choice([0, 1, 2, 0x7f, 0x80, 0xff, rng.randrange(256)])
        text = shown(memory)
        reader = Guest(encoding, ptr, memory)
        try:
            result = t.show(d['load'](reader.cx, BASE, t.spec))
        except d['Trap']:
            result = 'trap'
        print('load', encoding, ptr, t.text, text, '=', result)


def lower_and_lift(ts, encoding, ptr, max_flat):
    vs = [t.make() for t in ts]
    guest = Guest(encoding, ptr)
    types = d['flatten_types']([t.spec for t in ts], opts_of(ptr))
    flat = d['lower_flat_values'](guest.cx, max_flat, [with_tags(v, ptr) for v in vs], [t.spec for t in ts])
    if len(types) > max_flat:
        types = [ptr]
    bits = ['%x' % flat_bits(v, t) for v, t in zip(flat, types)]
    print('lower', encoding, ptr, max_flat, len(ts), *[t.text for t in ts], *[t.show(v) for t, v in zip(ts, vs)], '=',
          ','.join(bits) or '-', guest.used(), guest.history())


def lift_random(t, encoding, ptr):
    types = d['flatten_type'](t.spec, opts_of(ptr))
    if len(types) > 16:
        return
    memory = bytearray(rng.choice([0, 0, 1, 4, 0x41, 0xc3, 0xa4, rng.randrange(256)]) for _ in range(64))
    text = memory.hex()
    values = []
    for t_ in types:
        wide = t_ in ('i64', 'f64')
        bits = rng.choice([0, 1, 2, 3, 8, 16, rng.randrange(300), rng.getrandbits(64 if wide else 32), 1 << 31])
        if t_ == 'f32':
            values.append(struct.unpack('<f', struct.pack('<I', bits & 0xffffffff))[0])
        elif t_ == 'f64':
            values.append(struct.unpack('<d', struct.pack('<Q', bits))[0])
        else:
            values.append(bits)
    guest = Guest(encoding, ptr, memory)
    bits = ['%x' % flat_bits(v, t_) for v, t_ in zip(values, types)]
    try:
        result = t.show(d['lift_flat'](guest.cx, d['CoreValueIter'](values), t.spec))
    except d['Trap']:
        result = 'trap'
    print('lift', encoding, ptr, t.text, text, ','.join(bits) or '-', '=', result)


def main():
    for n in [1, 2, 255, 256, 257, 65536, 65537]:
        type_line(enum_of(n))
    for n in [1, 8, 9, 16, 17, 32]:
        type_line(flags_of(n))
    for name, spec in PRIMS:
        t = prim(name, spec)
        type_line(t)
        for encoding in ENCODINGS:
            for _ in range(8 if name == 'string' else 2):
                store_and_load(t, encoding, 'i32')
                lift_random(t, encoding, 'i32')
    for i in range(260):
        t = random_type(3)
        if len(t.text) > 300:
            continue
        type_line(t)
        encoding, ptr = rng.choice(ENCODINGS), 'i64' if i % 5 == 0 else 'i32'
        store_and_load(t, encoding, ptr)
        if i % 2:
            lower_and_lift([random_type(2) for _ in range(rng.randrange(0, 6))], encoding, ptr, rng.choice([1, 16]))
        for _ in range(2):
            lift_random(random_type(2), encoding, ptr)


main()
