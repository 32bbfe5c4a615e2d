//! S-NSSAI: which slice, as 3GPP names it (TS 23.003, section 28.4.2; TS 29.571, type `Snssai`).

use std::fmt;

use crate::number::checked_number;
use crate::rate::text_type;

checked_number! {
    /// Slice/service type, 8 bits: 0 to 127 standardised (1 eMBB, 2 URLLC, 3 MIoT, 4 V2X), 128 to 255 the operator's.
    Sst(u8), 0..=255, "an SST"
}

/// Slice differentiator, 24 bits, written as six hexadecimal digits.
///
/// `FFFFFF` means "no SD" in fixed-size encodings (TS 23.003, section 28.4.2) and is refused: leave the SD out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sd(u32);

impl Sd {
    /// Checks the range, 0 to `FFFFFE`.
    pub fn new(value: u32) -> Result<Self, InvalidSd> {
        if value < 0x00FF_FFFF { Ok(Self(value)) } else { Err(InvalidSd { found: format!("{value:06X}") }) }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Sd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06X}", self.0)
    }
}

impl std::str::FromStr for Sd {
    type Err = InvalidSd;

    fn from_str(text: &str) -> Result<Self, InvalidSd> {
        let hex = text.len() == 6 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let value = hex.then(|| u32::from_str_radix(text, 16).ok()).flatten();
        value.and_then(|v| Self::new(v).ok()).ok_or_else(|| InvalidSd { found: text.chars().take(16).collect() })
    }
}

/// A text or number that is no SD.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not an SD; expected six hexadecimal digits in quotes, \"000000\" to \"FFFFFE\"")]
pub struct InvalidSd {
    /// The text.
    pub found: String,
}

text_type!(Sd, "^[A-Fa-f0-9]{6}$", "0A1B2C");

/// Single network slice selection assistance information: a type and, where a type has several slices, a
/// differentiator.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Snssai {
    /// Slice/service type.
    pub sst: Sst,
    /// Slice differentiator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sd: Option<Sd>,
}

impl fmt::Display for Snssai {
    /// `3-0A1B2C`, or `3` without a differentiator.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sd {
            Some(sd) => write!(f, "{}-{sd}", self.sst),
            None => write!(f, "{}", self.sst),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sd_is_six_hexadecimal_digits_and_not_all_ones() {
        assert_eq!("0a1b2c".parse::<Sd>().unwrap().to_string(), "0A1B2C");
        for bad in ["FFFFFF", "12345", "1234567", "+12345", "0x1234", ""] {
            assert!(bad.parse::<Sd>().is_err(), "{bad}");
        }
    }
}
