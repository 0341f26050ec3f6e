//! Households: which Devices, meter points and Users belong to a premises.
//!
//! A household is a function of (seed, number): nothing is stored, whatever the number of premises.

use crate::chance::{Chance, Lane};
use crate::users::{User, Users};
use gridtrail_model::{CspRegion, DeviceId, Mpxn, Uprn};

/// A Smart Meter, its meter point and its supplier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meter {
    /// The meter: an ESME or a GSME.
    pub device_id: DeviceId,
    /// Its MPAN or MPRN; two in a thousand MPANs fail the check digit, as real ones do.
    pub mpxn: Mpxn,
    /// The User that supplies through it.
    pub supplier: User,
}

/// One premises with all its Devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Household {
    /// The premises, counted from 0.
    pub number: u32,
    /// The CSP Region of its Communications Hub.
    pub region: CspRegion,
    /// The electricity meter (ESME).
    pub electricity: Meter,
    /// The gas meter (GSME): three premises in four have one.
    pub gas: Option<Meter>,
    /// The Communications Hub Function (CHF).
    pub hub: DeviceId,
    /// The Gas Proxy Function (GPF) in the same hub.
    pub gas_proxy: DeviceId,
    /// The prepayment interface (PPMID), where there is one.
    pub ppmid: Option<DeviceId>,
    /// The electricity distributor.
    pub distributor: User,
    /// The gas transporter.
    pub transporter: User,
    /// Whether its meters run in prepayment mode.
    pub prepayment: bool,
}

/// One premises in so many is on prepayment.
const PREPAYMENT_EVERY: u32 = 7;
const PREPAYMENT_PLACE: u32 = 3;

/// The next premises on prepayment; the number itself where a region is too small to have one.
pub(crate) fn prepayment_near(number: u32, premises: u32) -> u32 {
    let near = number - number % PREPAYMENT_EVERY + PREPAYMENT_PLACE;
    if near < premises { near } else { PREPAYMENT_PLACE.min(premises - 1) }
}

impl Household {
    pub(crate) fn new(seed: u64, number: u32, users: &Users) -> Self {
        let mut chance = Chance::of(seed, Lane::Household, number.into());
        let area = chance.index(14);
        let (import, gas_supplier) = users.suppliers(&mut chance);
        let (distributor, transporter) = users.networks(area);
        let region = region(area, &mut chance);
        let has_gas = chance.per_mille(780);
        let wrong_check_digit = chance.per_mille(2);
        let ppmid = chance.per_mille(600).then(|| device(DeviceType::Ppmid, seed, number));
        Self {
            number,
            region,
            electricity: Meter {
                device_id: device(DeviceType::Esme, seed, number),
                mpxn: mpan(area, number, wrong_check_digit),
                supplier: import,
            },
            gas: has_gas.then(|| Meter {
                device_id: device(DeviceType::Gsme, seed, number),
                mpxn: mprn(number),
                supplier: gas_supplier,
            }),
            hub: device(DeviceType::Chf, seed, number),
            gas_proxy: device(DeviceType::Gpf, seed, number),
            ppmid,
            distributor,
            transporter,
            prepayment: number % PREPAYMENT_EVERY == PREPAYMENT_PLACE,
        }
    }

    /// The property's UPRN.
    pub fn uprn(&self) -> Uprn {
        let text = format!("1000{:08}", self.number);
        // Twelve digits and not zero: the number has at most eight.
        text.parse().expect("a UPRN of twelve digits")
    }

    /// What the premises had or has beside the Devices that its transactions are about.
    pub(crate) fn others(&self, seed: u64) -> Others {
        let of = |kind| device(kind, seed, self.number);
        Others {
            former_electricity: of(DeviceType::FormerEsme),
            former_hub: of(DeviceType::FormerChf),
            former_gas_proxy: of(DeviceType::FormerGpf),
            display: of(DeviceType::Ihd),
            stranger: of(DeviceType::Stranger),
        }
    }

    /// Every Device of the premises.
    pub fn devices(&self) -> impl Iterator<Item = DeviceId> {
        [
            Some(self.electricity.device_id),
            self.gas.map(|meter| meter.device_id),
            Some(self.hub),
            Some(self.gas_proxy),
            self.ppmid,
        ]
        .into_iter()
        .flatten()
    }
}

/// Devices of the premises that no transaction is about.
pub(crate) struct Others {
    /// The electricity meter before the present one.
    pub(crate) former_electricity: DeviceId,
    /// The Communications Hub Function before the present one.
    pub(crate) former_hub: DeviceId,
    /// The Gas Proxy Function in that hub.
    pub(crate) former_gas_proxy: DeviceId,
    /// An In-Home Display.
    pub(crate) display: DeviceId,
    /// A Device that was told of the premises by mistake.
    pub(crate) stranger: DeviceId,
}

#[derive(Clone, Copy)]
enum DeviceType {
    Esme,
    Gsme,
    Chf,
    Gpf,
    Ppmid,
    FormerEsme,
    FormerChf,
    FormerGpf,
    Ihd,
    Stranger,
}

/// A Device's EUI-64: a made-up manufacturer, the premises scattered over 32 bits, and a last byte that makes
/// the two halves of a hub neighbours.
fn device(kind: DeviceType, seed: u64, number: u32) -> DeviceId {
    let (maker, last) = match kind {
        DeviceType::Esme => (0x10, 0xE0),
        DeviceType::Gsme => (0x20, 0x60),
        DeviceType::Chf => (0x30, 0xC0),
        DeviceType::Gpf => (0x30, 0xC1),
        DeviceType::Ppmid => (0x40, 0xD0),
        DeviceType::FormerEsme => (0x10, 0xE8),
        DeviceType::FormerChf => (0x30, 0xC8),
        DeviceType::FormerGpf => (0x30, 0xC9),
        DeviceType::Ihd => (0x50, 0xA0),
        DeviceType::Stranger => (0x60, 0xF0),
    };
    let [.., offset_1, offset_2, offset_3, offset_4] = seed.to_be_bytes();
    let offset = u32::from_be_bytes([offset_1, offset_2, offset_3, offset_4]);
    // An odd factor and an offset only permute the 2^32 numbers, so no two premises meet.
    let [a, b, c, d] = number.wrapping_mul(0x9E37_79B1).wrapping_add(offset).to_be_bytes();
    DeviceId::from_bytes([0x02, 0x1D, maker, a, b, c, d, last])
}

/// Numbers below 50,000,000 scattered over 90,000,000 places: the factor has no divisor in common with them.
fn scattered(number: u32) -> u64 {
    10_000_000 + u64::from(number) * 48_271_111 % 90_000_000
}

fn mpan(area: usize, number: u32, wrong_check_digit: bool) -> Mpxn {
    const PRIMES: [u64; 12] = [3, 5, 7, 13, 17, 19, 23, 29, 31, 37, 41, 43];
    // Two digits of the distributor's area, two of a profile, eight of the premises.
    let core = (10 + area as u64) * 10_000_000_000 + scattered(number);
    let mut place = 100_000_000_000;
    let mut sum = 0;
    for prime in PRIMES {
        sum += core / place % 10 * prime;
        place /= 10;
    }
    let check = (sum % 11 % 10 + u64::from(wrong_check_digit)) % 10;
    mpxn(13, core * 10 + check)
}

fn mprn(number: u32) -> Mpxn {
    let core = scattered(number);
    let mut sum = 0;
    let mut rest = core;
    for weight in 1..=8 {
        sum += rest % 10 * weight;
        rest /= 10;
    }
    mpxn(10, core * 100 + sum % 11)
}

fn mpxn(length: i64, number: u64) -> Mpxn {
    let code = length * 100_000_000_000_000 + number.cast_signed();
    // Thirteen digits or ten, by construction above: both are lengths of an MPxN.
    Mpxn::from_code(code).expect("a meter point of thirteen or ten digits")
}

fn region(area: usize, chance: &mut Chance) -> CspRegion {
    use CspRegion::{Central, FourGCentral, FourGNorth, FourGSouth, North, Smets1, South, Unknown};
    let [plain, over_4g] = match area {
        0..=4 => [North, FourGNorth],
        5..=9 => [Central, FourGCentral],
        _ => [South, FourGSouth],
    };
    match chance.below(1_000) {
        0..=119 => over_4g,
        120..=199 => Smets1,
        200..=201 => Unknown,
        _ => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_model::CheckDigit;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_premises_share_a_device_or_a_meter_point() {
        let users = Users::new(24);
        let (mut devices, mut points, mut count) = (BTreeSet::new(), BTreeSet::new(), 0);
        for number in (0..5_000).chain(Settings::PREMISES_MAX - 5_000..Settings::PREMISES_MAX) {
            let household = Household::new(9, number, &users);
            count += household.devices().count();
            devices.extend(household.devices());
            assert!(points.insert(household.electricity.mpxn));
            assert!(household.gas.is_none_or(|gas| points.insert(gas.mpxn)));
            assert_eq!(household.uprn().to_string().len(), 12);
        }
        assert_eq!(devices.len(), count);
    }

    use crate::Settings;

    #[test]
    fn check_digits_mostly_pass_and_some_fail() {
        let users = Users::new(24);
        let all: Vec<_> = (0..10_000).map(|number| Household::new(1, number, &users)).collect();
        let failing = all.iter().filter(|h| h.electricity.mpxn.check() == CheckDigit::Failed).count();
        assert!((5..60).contains(&failing), "{failing} of 10,000");
        assert!(all.iter().filter_map(|h| h.gas).all(|gas| gas.mpxn.check() == CheckDigit::Passed));
    }

    #[test]
    fn a_prepayment_household_is_always_near() {
        let users = Users::new(24);
        for premises in [1, 3, 4, 8, 100] {
            for number in 0..premises {
                let near = prepayment_near(number, premises);
                assert!(near < premises);
                assert!(premises < 4 || Household::new(1, near, &users).prepayment);
            }
        }
    }
}
