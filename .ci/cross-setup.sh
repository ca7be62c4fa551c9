#!/usr/bin/env bash
# `core` and `alloc` for the two targets without an operating system that CI builds for, on Debian 12 with root, from Debian's
# packages only: rustc 1.96 (`rustc-web`) with its library sources, which `-Zbuild-std` turns into one sysroot a target under
# /usr/lib/rustlib. Idempotent. Afterwards `/usr/bin/cargo build --target T` with RUSTC=/usr/bin/rustc works; rustup is not touched.
#   .ci/cross-setup.sh [TARGET...]
set -euo pipefail
LIB=/usr/lib/rustlib
BUILD=${CROSS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/mini-wasm-tools/ci-cross}

need=()
for package in rustc-web cargo-web rust-web-src lld-22; do
  dpkg -s "$package" >/dev/null 2>&1 || need+=("$package")
done
if [ ${#need[@]} -gt 0 ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q -o DPkg::Lock::Timeout=600
  apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 "${need[@]}"
fi

version=$(/usr/bin/rustc -V)
for target in ${*:-thumbv7em-none-eabihf x86_64-unknown-none}; do
  [ "$(cat "$LIB/$target/.stamp" 2>/dev/null)" = "$version" ] && { echo "$target: already there"; continue; }
  mkdir -p "$BUILD/src"
  echo '#![no_std]' >"$BUILD/src/lib.rs"
  printf '[package]\nname = "sysroot"\nversion = "0.0.0"\nedition = "2024"\n[profile.release]\ndebug = 0\n[workspace]\n' >"$BUILD/Cargo.toml"
  rm -rf "$BUILD/target/$target" "${LIB:?}/$target"
  ( cd "$BUILD" && RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc RUSTFLAGS=-Cembed-bitcode=yes CARGO_TARGET_DIR="$BUILD/target" \
      /usr/bin/cargo build -q --release -Zbuild-std=core,alloc --target "$target" )
  mkdir -p "$LIB/$target/lib"
  for library in "$BUILD/target/$target/release/deps"/*.rlib; do
    case $library in *sysroot*) ;; *) cp "$library" "$LIB/$target/lib/" ;; esac
  done
  echo "$version" >"$LIB/$target/.stamp"
  echo "$target: installed"
done
