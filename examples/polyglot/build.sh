#!/usr/bin/env bash
# Builds a Rust, a JavaScript and a Python component, composes them into one with `mini-wasm compose` and runs it: in the
# interpreter, as native code, and in wasmtime if it is there. All must print what guests/expect/polyglot/stdout holds. The
# component is left in $GUESTS_BIG, where the tests of the command find it as one guest among others.
#
#   examples/polyglot/build.sh            build what is not built, compose, run
#   examples/polyglot/build.sh --install  first installs the toolchains (guests/build.sh does: Debian packages, PyPI, npm)
#   examples/polyglot/build.sh --update   writes what is expected, from wasmtime
#
# Environment: MINI_WASM (default: built from this tree), WASMTIME (default: wasmtime); GUESTS_BIG, MINI_WASM_TOOLS, JOBS as
# for guests/build.sh. The components (JavaScript 12 MB, Python 18 MB) go to guests/target/polyglot.
set -euo pipefail
cd "$(dirname "$0")"
ROOT=$(cd ../.. && pwd)
OUT=$ROOT/guests/target/polyglot
GUESTS_BIG=${GUESTS_BIG:-$ROOT/guests/target/big}
EXPECTED=$ROOT/guests/expect/polyglot/stdout
MINI_WASM_TOOLS=${MINI_WASM_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/mini-wasm-tools}
PY=$MINI_WASM_TOOLS/py/bin
JS=$MINI_WASM_TOOLS/js
JOBS=${JOBS:-1}

say() { echo "polyglot: $*"; }
# 77 is what .ci/slow takes for "this machine cannot".
missing() { say "$1 is missing (examples/polyglot/build.sh --install)" >&2; exit 77; }
# Is $1 there and newer than everything after it?
fresh() { local out=$1; shift; [ -f "$out" ] && [ -z "$(find "$@" -newer "$out" -type f -print -quit)" ]; }

mode=${1:-}
[ "$mode" != --install ] || "$ROOT/guests/build.sh" --install rust js python
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

# Rust imports both; Python, which stands before JavaScript, gets its parser from it as well.
"$MINI_WASM" compose "$OUT/app.wasm" --plug "$OUT/search.wasm" --plug "$OUT/parser.wasm" -o "$OUT/whole.wasm"
say "composed: $(stat -c %s "$OUT/whole.wasm") bytes, imports:" $("$MINI_WASM" inspect --wit "$OUT/whole.wasm" |
  sed -n '/^world root {/,/^}/s/^ *import \(.*\);/\1/p' | sed 's/@.*//' | sort | tr '\n' ' ')

wasmtime=$(command -v "${WASMTIME:-wasmtime}" || true)
if [ "$mode" = --update ]; then
  [ -n "$wasmtime" ] || { say "wasmtime is missing" >&2; exit 1; }
  "$wasmtime" run "$OUT/whole.wasm" > "$EXPECTED"
fi

failed=0
compare() { # name, command...
  local name=$1; shift
  if "$@" > "$OUT/output.txt" && cmp -s "$OUT/output.txt" "$EXPECTED"; then
    say "$name: as expected"
  else
    say "$name: differs"
    diff "$OUT/output.txt" "$EXPECTED" || true
    failed=1
  fi
}
compare interpreted "$MINI_WASM" run --engine interp "$OUT/whole.wasm"
compare compiled "$MINI_WASM" run --engine jit "$OUT/whole.wasm"
if [ -n "$wasmtime" ]; then compare wasmtime "$wasmtime" run "$OUT/whole.wasm"; else say "wasmtime: SKIPPED, not here"; fi
[ $failed = 1 ] || cp "$OUT/whole.wasm" "$GUESTS_BIG/polyglot.wasm"
exit $failed
