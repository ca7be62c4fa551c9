#!/usr/bin/env bash
# Sysroots for other targets on Debian 12 with root, from Debian's packages only: rustc 1.96 (`rustc-web`) with its library sources,
# which `-Zbuild-std` turns into one sysroot a target under /usr/lib/rustlib. Targets without an operating system get `core` and
# `alloc`, those with Linux get `std`, a C linker and qemu's user mode. Idempotent. Afterwards `/usr/bin/cargo build --target T`
# with RUSTC=/usr/bin/rustc works; rustup is not touched.
#   .ci/cross-setup.sh [TARGET...]
set -euo pipefail
LIB=/usr/lib/rustlib
BUILD=${CROSS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/mini-wasm-tools/ci-cross}
targets=${*:-thumbv7em-none-eabihf x86_64-unknown-none}

wanted=(rustc-web cargo-web rust-web-src lld-22)
for target in $targets; do
  case $target in
    aarch64-unknown-linux-gnu) wanted+=(qemu-user-static gcc-aarch64-linux-gnu libc6-dev-arm64-cross) ;;
    riscv64gc-unknown-linux-gnu) wanted+=(qemu-user-static gcc-riscv64-linux-gnu libc6-dev-riscv64-cross) ;;
  esac
done
need=()
for package in "${wanted[@]}"; do
  dpkg -s "$package" >/dev/null 2>&1 || need+=("$package")
done
if [ ${#need[@]} -gt 0 ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q -o DPkg::Lock::Timeout=600
  apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 "${need[@]}"
fi

version=$(/usr/bin/rustc -V)
for target in $targets; do
  [ "$(cat "$LIB/$target/.stamp" 2>/dev/null)" = "$version" ] && { echo "$target: already there"; continue; }
  case $target in
    *-linux-*) crates=std,panic_unwind,test linker=${target%%-*}-linux-gnu-gcc linker=${linker/riscv64gc/riscv64} ;;
    *) crates=core,alloc linker= ;;
  esac
  upper=$(tr a-z- A-Z_ <<<"$target")
  mkdir -p "$BUILD/src"
  echo '#![no_std]' >"$BUILD/src/lib.rs"
  printf '[package]\nname = "sysroot"\nversion = "0.0.0"\nedition = "2024"\n[profile.release]\ndebug = 0\n[workspace]\n' >"$BUILD/Cargo.toml"
  rm -rf "$BUILD/target/$target" "${LIB:?}/$target"
  (
    cd "$BUILD"
    [ -z "$linker" ] || export "CARGO_TARGET_${upper}_LINKER=$linker" "CC_${target//-/_}=$linker"
    RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc RUSTFLAGS=-Cembed-bitcode=yes CARGO_TARGET_DIR="$BUILD/target" \
      /usr/bin/cargo build -q --release -Zbuild-std="$crates" --target "$target"
  )
  mkdir -p "$LIB/$target/lib"
  for library in "$BUILD/target/$target/release/deps"/*.rlib; do
    case $library in *sysroot*) ;; *) cp "$library" "$LIB/$target/lib/" ;; esac
  done
  echo "$version" >"$LIB/$target/.stamp"
  echo "$target: installed"
done
