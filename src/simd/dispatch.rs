//! Dispatch: which version of a kernel runs.
//! In: what the processor can, and `TRAWLWATCH_SIMD`, both read once. Out: one [`Level`] for the whole program.

use std::sync::OnceLock;

/// A set of instructions that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// No dispatch: the architecture's baseline (SSE2 on x86-64, NEON on AArch64), and row by row where a kernel has a plain form.
    Scalar,
    /// The kernels' column form for the architecture's baseline.
    Baseline,
    /// 256-bit vectors.
    Avx2,
    /// 512-bit vectors with F, BW, DQ and VL (Ice Lake, Zen 4 and later).
    Avx512,
}

impl Level {
    /// All of them, the plainest first.
    pub const ALL: [Self; 4] = [Self::Scalar, Self::Baseline, Self::Avx2, Self::Avx512];

    /// The name that `TRAWLWATCH_SIMD` takes and benches print.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Baseline => "baseline",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether this processor can run it. A level that it cannot run is safe to ask for: the baseline answers.
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar | Self::Baseline => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => std::arch::is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512_detected(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// The best that this processor can.
    fn detect() -> Self {
        Self::ALL.into_iter().rev().find(|level| level.is_available()).unwrap_or(Self::Scalar)
    }
}

#[cfg(target_arch = "x86_64")]
fn avx512_detected() -> bool {
    // VBMI2 came with Ice Lake: before it, 512-bit code slowed the whole core down, and `multiversion` does not choose it.
    use std::arch::is_x86_feature_detected as has;
    has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") && has!("avx512vbmi2")
}

/// The level of this run. An unknown or unavailable name in `TRAWLWATCH_SIMD` counts as not set.
pub fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        let wanted = std::env::var("TRAWLWATCH_SIMD").ok();
        let named = wanted.and_then(|name| Level::ALL.into_iter().find(|level| level.name() == name.trim()));
        named.filter(|level| level.is_available()).unwrap_or_else(Level::detect)
    })
}

/// Writes a kernel: one generic body, a version of it for each level, `name(..)` for the level of this run and
/// `name::at(level, ..)` for tests and benches. `plain { .. }` after the body gives the scalar level a form of its own.
macro_rules! kernel {
    ($(#[$meta:meta])* pub fn $name:ident ( $($arg:ident : $ty:ty),* $(,)? ) $body:block) => {
        $crate::simd::kernel! { $(#[$meta])* pub fn $name($($arg: $ty),*) $body plain $body }
    };
    ($(#[$meta:meta])* pub fn $name:ident ( $($arg:ident : $ty:ty),* $(,)? ) $body:block plain $plain:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, reason = "columns in, columns out")]
        pub fn $name($($arg: $ty),*) {
            $name::at($crate::simd::level(), $($arg),*)
        }

        #[allow(clippy::too_many_arguments, reason = "columns in, columns out")]
        /// The kernel at a level of choice.
        pub mod $name {
            #[allow(unused_imports, reason = "not every kernel needs its neighbours")]
            use super::*;

            #[inline(always)]
            fn body($($arg: $ty),*) $body

            #[inline(never)]
            fn scalar($($arg: $ty),*) $plain

            #[inline(never)]
            fn baseline($($arg: $ty),*) {
                body($($arg),*)
            }

            #[multiversion::multiversion(targets("x86_64+avx+avx2"))]
            fn avx2($($arg: $ty),*) {
                body($($arg),*)
            }

            #[multiversion::multiversion(targets(
                "x86_64+avx+avx2+avx512f+avx512bw+avx512dq+avx512vl+avx512vbmi2"
            ))]
            fn avx512($($arg: $ty),*) {
                body($($arg),*)
            }

            /// The kernel at a level of choice.
            pub fn at(level: $crate::simd::Level, $($arg: $ty),*) {
                match level {
                    $crate::simd::Level::Scalar => scalar($($arg),*),
                    $crate::simd::Level::Baseline => baseline($($arg),*),
                    $crate::simd::Level::Avx2 => avx2($($arg),*),
                    $crate::simd::Level::Avx512 => avx512($($arg),*),
                }
            }
        }
    };
}
pub(crate) use kernel;
