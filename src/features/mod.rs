//! Ended flows in, one f32 column per feature out; one register.
