//! Architectures and processor features: what code may use, and whether this machine has it.
//!
//! One table per architecture; the bit numbers are part of the artifact format.

/// An architecture that native code exists for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "named as everywhere")]
pub enum Arch {
    X86_64,
    Aarch64,
    Riscv64,
}

impl Arch {
    /// Every architecture.
    pub const ALL: [Arch; 3] = [Arch::X86_64, Arch::Aarch64, Arch::Riscv64];

    /// This machine's, if native code exists for it.
    pub fn host() -> Option<Arch> {
        if cfg!(not(target_os = "linux")) {
            None
        } else if cfg!(target_arch = "x86_64") {
            Some(Arch::X86_64)
        } else if cfg!(target_arch = "aarch64") {
            Some(Arch::Aarch64)
        } else if cfg!(target_arch = "riscv64") {
            Some(Arch::Riscv64)
        } else {
            None
        }
    }

    /// The triple that stands in artifacts and on the command line.
    pub fn triple(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64-unknown-linux-gnu",
            Arch::Aarch64 => "aarch64-unknown-linux-gnu",
            Arch::Riscv64 => "riscv64gc-unknown-linux-gnu",
        }
    }

    /// The architecture of a Linux triple, or of its bare name.
    pub fn from_triple(triple: &str) -> Option<Arch> {
        let (arch, rest) = triple.split_once('-').unwrap_or((triple, "linux"));
        if !rest.contains("linux") {
            return None;
        }
        match arch {
            "x86_64" => Some(Arch::X86_64),
            "aarch64" => Some(Arch::Aarch64),
            "riscv64" | "riscv64gc" => Some(Arch::Riscv64),
            _ => None,
        }
    }

    pub(crate) fn code(self) -> u32 {
        match self {
            Arch::X86_64 => 1,
            Arch::Aarch64 => 2,
            Arch::Riscv64 => 3,
        }
    }
}

/// A set of processor features of one architecture.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CpuFeatures(pub(crate) u64);

macro_rules! x86_features {
    ($($bit:literal $clif:literal $name:tt $need:ident;)*) => {
        const X86: &[(u32, &str, &str, Need)] = &[$(($bit, $clif, $name, Need::$need)),*];

        #[cfg(target_arch = "x86_64")]
        fn detect() -> u64 {
            let mut bits = 0;
            $(if std::is_x86_feature_detected!($name) { bits |= 1 << $bit; })*
            bits
        }
    };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Without it there is no native code (Cranelift would call library functions).
    Required,
    /// Assumed when code is made for another machine.
    Baseline,
    /// Used when this machine has it.
    Optional,
}

x86_features! {
    0 "has_sse3" "sse3" Required;
    1 "has_ssse3" "ssse3" Required;
    2 "has_sse41" "sse4.1" Required;
    3 "has_sse42" "sse4.2" Baseline;
    4 "has_popcnt" "popcnt" Baseline;
    5 "has_avx" "avx" Optional;
    6 "has_avx2" "avx2" Optional;
    7 "has_fma" "fma" Optional;
    8 "has_bmi1" "bmi1" Optional;
    9 "has_bmi2" "bmi2" Optional;
    10 "has_lzcnt" "lzcnt" Optional;
    11 "has_cmpxchg16b" "cmpxchg16b" Optional;
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> u64 {
    0
}

impl CpuFeatures {
    /// What this machine has.
    pub fn host() -> CpuFeatures {
        CpuFeatures(detect())
    }

    /// What code made for other machines may use.
    pub fn baseline(arch: Arch) -> CpuFeatures {
        let bits = rows(arch).iter().filter(|row| row.3 != Need::Optional).map(|row| 1 << row.0);
        CpuFeatures(bits.sum())
    }

    /// Is everything in `self` also in `other`?
    pub fn is_subset(self, other: CpuFeatures) -> bool {
        self.0 & !other.0 == 0
    }

    #[cfg(feature = "compile")]
    pub(crate) fn missing_required(self, arch: Arch) -> Option<&'static str> {
        rows(arch).iter().find(|row| row.3 == Need::Required && self.0 & 1 << row.0 == 0).map(|row| row.2)
    }

    #[cfg(feature = "compile")]
    pub(crate) fn clif_names(self, arch: Arch) -> impl Iterator<Item = &'static str> {
        rows(arch).iter().filter(move |row| self.0 & 1 << row.0 != 0).map(|row| row.1)
    }
}

fn rows(arch: Arch) -> &'static [(u32, &'static str, &'static str, Need)] {
    match arch {
        Arch::X86_64 => X86,
        Arch::Aarch64 | Arch::Riscv64 => &[],
    }
}
