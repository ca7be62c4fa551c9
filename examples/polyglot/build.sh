#!/usr/bin/env bash
# Builds a Rust, a JavaScript and a Python component, composes them into one with `mini-wasm compose`, has wasm-tools judge it, and
# runs it: in the interpreter, as native code, and in wasmtime. All must print what guests/expect/polyglot/stdout holds, whole. The
# component is left in $GUESTS_BIG, where the tests of the command find it as one guest among others. The same is done with the
# compositions of the demo's importer (Rust) with its providers (Rust; Python if guests/build.sh has built that).
#
#   examples/polyglot/build.sh            build what is not built, compose, validate, run
#   examples/polyglot/build.sh --install  first installs the toolchains (guests/build.sh does: Debian packages, PyPI, npm) and, from
#                                         crates.io, wasm-tools and wasmtime where they are not there
#   examples/polyglot/build.sh --update   writes what is expected, from wasmtime
#
# Environment: MINI_WASM (default: built from this tree), WASMTIME, WASM_TOOLS (default: of these names); GUESTS_BIG, MINI_WASM_TOOLS,
# JOBS as for guests/build.sh. The components (JavaScript 12 MB, Python 18 MB) go to guests/target/polyglot. Ends with 77 when all went
# well that could be done here, and not all could.
set -euo pipefail
cd "$(dirname "$0")"
ROOT=$(cd ../.. && pwd)
OUT=$ROOT/guests/target/polyglot
GUESTS_BIG=${GUESTS_BIG:-$ROOT/guests/target/big}
MINI_WASM_TOOLS=${MINI_WASM_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/mini-wasm-tools}
PATH=$PATH:$MINI_WASM_TOOLS/bin
PY=$MINI_WASM_TOOLS/py/bin
JS=$MINI_WASM_TOOLS/js
JOBS=${JOBS:-1}

say() { echo "polyglot: $*"; }
# 77 is what .ci/slow takes for "this machine cannot".
missing() { say "$1 is missing (examples/polyglot/build.sh --install)" >&2; exit 77; }
# Is $1 there and newer than everything after it?
fresh() { local out=$1; shift; [ -f "$out" ] && [ -z "$(find "$@" -newer "$out" -type f -print -quit)" ]; }

mode=${1:-}
if [ "$mode" = --install ]; then
  "$ROOT/guests/build.sh" --install rust js python
  from_crates() { CARGO_TARGET_DIR=$MINI_WASM_TOOLS/build cargo install -q --locked -j "$JOBS" --root "$MINI_WASM_TOOLS" "$@"; }
  command -v "${WASM_TOOLS:-wasm-tools}" > /dev/null || from_crates wasm-tools@1.263.0 --no-default-features --features validate
  command -v "${WASMTIME:-wasmtime}" > /dev/null || from_crates wasmtime-cli@48.0.8 --no-default-features \
    --features run,compile,component-model,parallel-compilation,pooling-allocator
fi
mkdir -p "$OUT" "$GUESTS_BIG"

# The WIT of the example with the WASI packages, which the crate `wasip2` carries.
if ! fresh "$OUT/wit/docs.wit" wit; then
  deps=$(cargo metadata --locked --format-version 1 --manifest-path rust/Cargo.toml | python3 -c '
import json, os, sys
print(*(os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == "wasip2"))')/wit/deps
  rm -rf "$OUT/wit"
  mkdir -p "$OUT/wit"
  cp -r "$deps" "$OUT/wit/"
  cp wit/*.wit "$OUT/wit/"
fi

if ! fresh "$OUT/app.wasm" rust wit; then
  [ -d "/usr/lib/rustlib/wasm32-wasip2/lib" ] || missing "Rust's std for wasm32-wasip2"
  say "Rust"
  RUSTC=/usr/bin/rustc CARGO_TARGET_DIR=$OUT/rust cargo build -q --locked -j "$JOBS" --release \
    --target wasm32-wasip2 --manifest-path rust/Cargo.toml
  cp "$OUT/rust/wasm32-wasip2/release/polyglot_app.wasm" "$OUT/app.wasm"
fi

if ! fresh "$OUT/parser.wasm" js wit; then
  [ -d "$JS/node_modules/@bytecodealliance/componentize-js" ] || missing componentize-js
  say "JavaScript"
  # Run from the folder that has the modules: Node looks for them there.
  cp js/componentize.mjs "$JS/polyglot.mjs"
  node "$JS/polyglot.mjs" js/parser.js "$OUT/wit" javascript "$OUT/parser.wasm"
fi

if ! fresh "$OUT/search.wasm" python wit; then
  [ -x "$PY/componentize-py" ] || missing componentize-py
  say "Python"
  PYTHONDONTWRITEBYTECODE=1 "$PY/componentize-py" -d "$OUT/wit" -w python componentize -p python app -o "$OUT/search.wasm"
fi

if [ -z "${MINI_WASM:-}" ]; then
  cargo build -q --locked -j "$JOBS" --manifest-path "$ROOT/Cargo.toml" -p mini-wasm-cli
  target=$(cargo metadata --locked --no-deps --format-version 1 --manifest-path "$ROOT/Cargo.toml" | python3 -c '
import json, sys
print(json.load(sys.stdin)["target_directory"])')
  MINI_WASM=$target/debug/mini-wasm
fi

wasmtime=$(command -v "${WASMTIME:-wasmtime}" || true)
wasm_tools=$(command -v "${WASM_TOOLS:-wasm-tools}" || true)
failed=0 skipped=0

compare() { # expected, name, command...
  local expected=$1 name=$2; shift 2
  if "$@" > "$OUT/output.txt" && cmp -s "$OUT/output.txt" "$expected"; then
    say "$name: as expected"
  else
    say "$name: differs"
    diff "$OUT/output.txt" "$expected" || true
    failed=1
  fi
}
skip() { say "$1: SKIPPED, not here"; skipped=1; }

whole() { # name, expected, component, plug...
  local name=$1 expected=$2 socket=$3 plugs=() out=$OUT/$1.wasm plug; shift 3
  for plug in "$@"; do plugs+=(--plug "$plug"); done
  "$MINI_WASM" compose "$socket" "${plugs[@]}" -o "$out"
  say "$name composed: $(stat -c %s "$out") bytes, imports:" $("$MINI_WASM" inspect --wit "$out" |
    sed -n '/^world root {/,/^}/s/^ *import \(.*\);/\1/p' | sed 's/@.*//' | sort | tr '\n' ' ')
  if [ "$mode" = --update ]; then
    [ -n "$wasmtime" ] || { say "wasmtime is missing" >&2; exit 1; }
    "$wasmtime" run "$out" > "$expected"
  fi
  if [ -z "$wasm_tools" ]; then
    skip "$name, wasm-tools"
  elif "$wasm_tools" validate "$out"; then
    say "$name, wasm-tools: valid"
  else
    failed=1
  fi
  compare "$expected" "$name, interpreted" "$MINI_WASM" run --engine interp "$out"
  compare "$expected" "$name, compiled" "$MINI_WASM" run --engine jit "$out"
  "$MINI_WASM" aot "$out" -o "$OUT/$name.cwasm"
  compare "$expected" "$name, from an artifact" "$MINI_WASM" run "$OUT/$name.cwasm"
  rm "$OUT/$name.cwasm"
  if [ -n "$wasmtime" ]; then compare "$expected" "$name, wasmtime" "$wasmtime" run "$out"; else skip "$name, wasmtime"; fi
}

# Rust imports both; Python, which stands before JavaScript, gets its parser from it as well.
whole whole "$ROOT/guests/expect/polyglot/stdout" "$OUT/app.wasm" "$OUT/search.wasm" "$OUT/parser.wasm"
[ $failed = 1 ] || cp "$OUT/whole.wasm" "$GUESTS_BIG/polyglot.wasm"

importer=$ROOT/guests/bin/demo-importer.wasm python=$ROOT/guests/target/objects/demo-provider-python.wasm
whole demo "$ROOT/guests/expect/demo-composed/stdout" "$importer" "$ROOT/guests/bin/demo-provider.wasm"
if [ -f "$python" ]; then whole demo-python "$ROOT/guests/expect/demo-python/stdout" "$importer" "$python"; else skip "demo-python"; fi
[ $failed = 0 ] || exit 1
[ $skipped = 0 ] || exit 77
