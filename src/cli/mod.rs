//! The command line: one file per verb, plain values in, exit status out.
//! Standard output is results, standard error is talk; this room alone prints and reads the environment.

pub mod options;
