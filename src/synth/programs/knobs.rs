//! Knobs: what can be turned on a program, and how its settings are written: `KIND:knob=value,knob=value`.
//! In: text. Out: checked values, or an error that names the knob, the value and what is known.

use super::{PROGRAMS, Program, Role};

/// What a knob's value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnobUnit {
    /// 0 to 1.
    Share,
    /// Seconds; `s`, `m`, `h` and `ms` may follow the number.
    Seconds,
    /// Bytes; `KiB`, `MiB` and `GiB` may follow the number.
    Bytes,
    /// A whole number from 1 on.
    Count,
    /// A port number.
    Port,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// One thing that can be turned.
#[derive(Clone, Copy, Debug)]
pub struct Knob {
    /// Its name.
    pub name: &'static str,
    /// Its value where nothing is said.
    pub default: &'static str,
    /// What the value means.
    pub unit: KnobUnit,
    /// What it turns.
    pub about: &'static str,
}

/// Why a program's settings were refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KnobError {
    /// There is no such operation or negative.
    #[error("unknown {what} {kind:?}; known: {known}")]
    Kind {
        /// "operation" or "negative".
        what: &'static str,
        /// What was asked for.
        kind: String,
        /// What there is.
        known: String,
    },
    /// The program has no such knob.
    #[error("{kind}: unknown knob {knob:?}; known: {known}")]
    Knob {
        /// The program.
        kind: &'static str,
        /// What was asked for.
        knob: String,
        /// What there is.
        known: String,
    },
    /// The value makes no sense.
    #[error("{kind}: {knob}={value}: {wanted}")]
    Value {
        /// The program.
        kind: &'static str,
        /// The knob.
        knob: &'static str,
        /// What was written.
        value: String,
        /// What would have been right.
        wanted: String,
    },
    /// Not of the form `knob=value`.
    #[error("{kind}: {text:?} is not of the form knob=value")]
    Form {
        /// The program.
        kind: &'static str,
        /// What was written.
        text: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Number(f64),
    Word(&'static str),
}

/// The settings of one program.
#[derive(Clone, Debug, PartialEq)]
pub struct Knobs {
    values: Vec<(&'static str, Value)>,
    variant: Option<&'static str>,
}

/// Finds the program that `KIND` or `KIND:settings` names, and its settings.
pub(crate) fn parse(text: &str, operation: bool) -> Result<(&'static Program, Knobs), KnobError> {
    let (kind, settings) = text.split_once(':').unwrap_or((text, ""));
    let fits = |program: &&Program| matches!(program.role, Role::Operation(_)) == operation;
    let Some(program) = PROGRAMS.iter().filter(fits).find(|program| program.kind == kind) else {
        let known: Vec<_> = PROGRAMS.iter().filter(fits).map(|program| program.kind).collect();
        let what = if operation { "operation" } else { "negative" };
        return Err(KnobError::Kind { what, kind: kind.to_owned(), known: known.join(", ") });
    };
    Ok((program, Knobs::parse(program, settings)?))
}

impl Knobs {
    pub(crate) fn parse(program: &'static Program, settings: &str) -> Result<Self, KnobError> {
        let mut values = Vec::new();
        for knob in program.knobs {
            values.push((knob.name, value(program.kind, knob, knob.default)?));
        }
        let mut knobs = Self { values, variant: None };
        let written = || settings.split(',').filter(|setting| !setting.is_empty());
        if let Some(name) = written().find_map(|setting| setting.strip_prefix("variant=")) {
            let Some(variant) = program.variants.iter().find(|variant| variant.name == name) else {
                let known: Vec<_> = program.variants.iter().map(|variant| variant.name).collect();
                let wanted =
                    if known.is_empty() { "it has none".to_owned() } else { format!("one of {}", known.join(", ")) };
                return Err(KnobError::Value { kind: program.kind, knob: "variant", value: name.to_owned(), wanted });
            };
            knobs.variant = Some(variant.name);
            variant.settings.split(',').try_for_each(|setting| knobs.set(program, setting))?;
        }
        written()
            .filter(|setting| !setting.starts_with("variant="))
            .try_for_each(|setting| knobs.set(program, setting))?;
        Ok(knobs)
    }

    fn set(&mut self, program: &'static Program, setting: &str) -> Result<(), KnobError> {
        let Some((name, text)) = setting.split_once('=') else {
            return Err(KnobError::Form { kind: program.kind, text: setting.to_owned() });
        };
        let Some(at) = program.knobs.iter().position(|knob| knob.name == name) else {
            let known: Vec<_> = program.knobs.iter().map(|knob| knob.name).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(KnobError::Knob { kind: program.kind, knob: name.to_owned(), known });
        };
        self.values[at].1 = value(program.kind, &program.knobs[at], text)?;
        Ok(())
    }

    /// The variant that was asked for by name; none for the standard way.
    pub(crate) fn variant(&self) -> Option<&'static str> {
        self.variant
    }

    /// A knob's number. The name is one of the program's own: asking for another is our mistake.
    pub(crate) fn number(&self, name: &str) -> f64 {
        match self.values.iter().find(|(known, _)| *known == name) {
            Some((_, Value::Number(number))) => *number,
            other => panic!("knob {name} holds no number: {other:?}"),
        }
    }

    /// A knob's word.
    pub(crate) fn word(&self, name: &str) -> &'static str {
        match self.values.iter().find(|(known, _)| *known == name) {
            Some((_, Value::Word(word))) => word,
            other => panic!("knob {name} holds no word: {other:?}"),
        }
    }
}

fn value(kind: &'static str, knob: &Knob, text: &str) -> Result<Value, KnobError> {
    let refused =
        |wanted: &str| KnobError::Value { kind, knob: knob.name, value: text.to_owned(), wanted: wanted.to_owned() };
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    let with_ending = |endings: &[(&str, f64)]| {
        endings.iter().find_map(|(ending, factor)| Some(number(text.strip_suffix(ending)?)? * factor)).or(number(text))
    };
    let found = match knob.unit {
        KnobUnit::Share => number(text).filter(|n| *n <= 1.0).ok_or_else(|| refused("a share lies between 0 and 1"))?,
        KnobUnit::Seconds => with_ending(&[("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)])
            .ok_or_else(|| refused("a time is a number of seconds, or ends in ms, s, m or h"))?,
        KnobUnit::Bytes => with_ending(&[("KiB", 1024.0), ("MiB", 1048576.0), ("GiB", 1073741824.0), ("B", 1.0)])
            .filter(|n| *n <= 1e12)
            .ok_or_else(|| refused("a size is a number of bytes up to 10^12, or ends in KiB, MiB or GiB"))?,
        KnobUnit::Count => number(text)
            .filter(|n| (1.0..=1e6).contains(n) && n.fract() == 0.0)
            .ok_or_else(|| refused("a count is a whole number between 1 and 1000000"))?,
        KnobUnit::Port => number(text)
            .filter(|n| (1.0..=65535.0).contains(n) && n.fract() == 0.0)
            .ok_or_else(|| refused("a port lies between 1 and 65535"))?,
        KnobUnit::Word(words) => {
            let word = words.iter().find(|word| **word == text);
            return word.map(|word| Value::Word(word)).ok_or_else(|| refused(&format!("one of {}", words.join(", "))));
        }
    };
    Ok(Value::Number(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        for (text, wanted) in [
            ("fan-in", "unknown operation \"fan-in\"; known: population-fan-in, shadow-upload"),
            ("backup", "unknown operation \"backup\""),
            ("population-fan-in:periode=6", "unknown knob \"periode\"; known: subscribers, period"),
            ("population-fan-in:period", "\"period\" is not of the form knob=value"),
            ("population-fan-in:subscribers=1.5", "subscribers=1.5: a share lies between 0 and 1"),
            ("population-fan-in:period=soon", "a time is a number of seconds"),
            ("population-fan-in:port=0", "a port lies between 1 and 65535"),
            ("population-fan-in:variant=loud", "variant=loud: "),
            ("traffic-mirroring:wrap=tape", "one of erspan, gre, vxlan, tzsp, netflow"),
        ] {
            let error = parse(text, true).expect_err(text).to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }

    #[test]
    fn values_carry_their_units() {
        let (_, knobs) = parse("population-fan-in:period=10m,record=2KiB,jitter=0.5", true).expect("good settings");
        assert_eq!((knobs.number("period"), knobs.number("record"), knobs.number("jitter")), (600.0, 2048.0, 0.5));
    }
}
