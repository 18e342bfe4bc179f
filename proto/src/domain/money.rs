//! Money: a checked 64-bit count of minor units with its currency. No float anywhere.

use std::fmt;

use crate::Refusal;

/// An ISO 4217 currency.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// Takes a three-letter code. Codes without a minor unit of their own (precious metals, test codes) are
    /// not money here.
    ///
    /// # Errors
    /// [`Refusal::UnknownCurrency`].
    pub fn new(code: &str) -> Result<Self, Refusal> {
        iso_currency::Currency::from_code(code)
            .filter(|currency| currency.exponent().is_some())
            .map(Self)
            .ok_or(Refusal::UnknownCurrency)
    }

    /// The three-letter code.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Decimals of the currency: 2 for EUR, 0 for JPY, 3 for KWD.
    pub fn exponent(self) -> u32 {
        // `new` let none pass without one
        u32::from(self.0.exponent().unwrap_or(0))
    }

    /// Minor units as text with the currency's decimals and grouped thousands: `-1,234.50`.
    pub fn format(self, minor_units: i64) -> String {
        let exponent = self.exponent() as usize;
        let digits = format!("{:0>width$}", minor_units.unsigned_abs(), width = exponent + 1);
        let (whole, fraction) = digits.split_at(digits.len() - exponent);
        let mut text = String::with_capacity(digits.len() + 8);
        if minor_units < 0 {
            text.push('-');
        }
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && (whole.len() - index).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        if exponent > 0 {
            text.push('.');
            text.push_str(fraction);
        }
        text
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl PartialOrd for Currency {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Currency {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.code().cmp(other.code())
    }
}

/// A positive amount of one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    minor_units: i64,
    currency: Currency,
}

impl Money {
    /// Takes minor units greater than zero.
    ///
    /// # Errors
    /// [`Refusal::AmountNotPositive`].
    pub fn new(minor_units: i64, currency: Currency) -> Result<Self, Refusal> {
        if minor_units <= 0 {
            return Err(Refusal::AmountNotPositive);
        }
        Ok(Self { minor_units, currency })
    }

    /// Reads what a person types: digits, with `,` between thousands allowed and `.` before the decimals.
    ///
    /// # Errors
    /// [`Refusal::AmountNotANumber`], [`Refusal::TooManyDecimals`], [`Refusal::AmountTooLarge`],
    /// [`Refusal::AmountNotPositive`].
    pub fn parse(text: &str, currency: Currency) -> Result<Self, Refusal> {
        let text = text.trim();
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if !well_grouped(whole) || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::AmountNotANumber);
        }
        if whole.is_empty() && fraction.is_empty() || text.ends_with('.') {
            return Err(Refusal::AmountNotANumber);
        }
        let exponent = currency.exponent() as usize;
        if fraction.len() > exponent {
            return Err(Refusal::TooManyDecimals);
        }
        let mut minor_units: i64 = 0;
        let digits = whole.bytes().filter(|b| *b != b',').chain(fraction.bytes());
        for digit in digits.chain(std::iter::repeat_n(b'0', exponent - fraction.len())) {
            minor_units = minor_units
                .checked_mul(10)
                .and_then(|units| units.checked_add(i64::from(digit - b'0')))
                .ok_or(Refusal::AmountTooLarge)?;
        }
        if negative {
            return Err(Refusal::AmountNotPositive);
        }
        Self::new(minor_units, currency)
    }

    /// Minor units, greater than zero.
    pub fn minor_units(self) -> i64 {
        self.minor_units
    }

    /// The currency.
    pub fn currency(self) -> Currency {
        self.currency
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.currency.format(self.minor_units), self.currency)
    }
}

/// Digits, or digits with commas at every third place from the right.
fn well_grouped(whole: &str) -> bool {
    if !whole.contains(',') {
        return whole.bytes().all(|b| b.is_ascii_digit());
    }
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or("");
    let digits = |group: &str| group.bytes().all(|b| b.is_ascii_digit());
    (1..=3).contains(&first.len()) && digits(first) && groups.all(|group| group.len() == 3 && digits(group))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn eur() -> Currency {
        Currency::new("EUR").unwrap()
    }

    #[test]
    fn what_a_person_types_is_read_exactly_or_refused_with_its_reason() {
        use Refusal::*;
        let table: &[(&str, &str, Result<i64, Refusal>)] = &[
            ("12.34", "EUR", Ok(1234)),
            ("12", "EUR", Ok(1200)),
            ("12.3", "EUR", Ok(1230)),
            (".5", "EUR", Ok(50)),
            ("0.01", "EUR", Ok(1)),
            ("1,234.50", "EUR", Ok(123_450)),
            (" 7 ", "JPY", Ok(7)),
            ("1.234", "KWD", Ok(1234)),
            ("92233720368547758.07", "EUR", Ok(i64::MAX)),
            ("92233720368547758.08", "EUR", Err(AmountTooLarge)),
            ("99999999999999999999999", "EUR", Err(AmountTooLarge)),
            ("0", "EUR", Err(AmountNotPositive)),
            ("0.00", "EUR", Err(AmountNotPositive)),
            ("-1", "EUR", Err(AmountNotPositive)),
            ("1.234", "EUR", Err(TooManyDecimals)),
            ("1.0", "JPY", Err(TooManyDecimals)),
            ("", "EUR", Err(AmountNotANumber)),
            (".", "EUR", Err(AmountNotANumber)),
            ("5.", "EUR", Err(AmountNotANumber)),
            ("1e3", "EUR", Err(AmountNotANumber)),
            ("12,34", "EUR", Err(AmountNotANumber)),
            ("+1", "EUR", Err(AmountNotANumber)),
            ("--1", "EUR", Err(AmountNotANumber)),
            ("１", "EUR", Err(AmountNotANumber)),
            ("NaN", "EUR", Err(AmountNotANumber)),
        ];
        for (text, currency, expected) in table {
            let read = Money::parse(text, Currency::new(currency).unwrap()).map(Money::minor_units);
            assert_eq!(read, *expected, "{text} {currency}");
        }
    }

    #[test]
    fn only_currencies_with_a_minor_unit_are_money() {
        for bad in ["", "eur", "EURO", "XXX", "XAU", "ABC"] {
            assert_eq!(Currency::new(bad), Err(Refusal::UnknownCurrency), "{bad}");
        }
    }

    #[test]
    fn the_extremes_are_shown_exactly() {
        assert_eq!(eur().format(i64::MIN), "-92,233,720,368,547,758.08");
        assert_eq!(eur().format(0), "0.00");
        assert_eq!(eur().format(-5), "-0.05");
        assert_eq!(Currency::new("JPY").unwrap().format(1000), "1,000");
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(minor_units in 1..=i64::MAX) {
            for code in ["EUR", "JPY", "KWD"] {
                let currency = Currency::new(code).unwrap();
                let shown = currency.format(minor_units);
                prop_assert_eq!(Money::parse(&shown, currency).unwrap().minor_units(), minor_units);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            let _ = Money::parse(&text, eur());
        }
    }
}
