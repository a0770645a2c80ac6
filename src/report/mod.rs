//! Findings to text, JSON, EVE and Parquet; one register.
