//! The register of authorised collectors, transfers, verdicts.
