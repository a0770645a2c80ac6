//! Kernels over columns: scalar truth, dispatched versions.
