import collections, decimal, fractions, hashlib, json, re, statistics, sys, zlib

print(sys.version.split()[0], sys.platform)
decimal.getcontext().prec = 40
print(decimal.Decimal(2).sqrt(), fractions.Fraction(3, 4) + fractions.Fraction(1, 6))
print(2**200 % 1_000_003, hashlib.sha256(b"mini-wasm").hexdigest()[:16])
words = re.findall(r"\w+", "the cat, the dog, the bird".lower())
print(json.dumps(collections.Counter(words).most_common(2)), statistics.median([3, 1, 4, 1, 5]))
data = b"abc" * 1000
print(len(zlib.compress(data)), zlib.decompress(zlib.compress(data)) == data)
primes = [n for n in range(2, 2000) if all(n % d for d in range(2, int(n**0.5) + 1))]
print(len(primes), sum(primes))
try:
    {}["key"]
except KeyError as error:
    print("caught", error)
