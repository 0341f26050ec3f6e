//! Under what a row lies, as eight bytes: the first sort key of a run.
//!
//! A row that names no Device has bytes that stand for its meter point or its User, so that it is found as all rows are: by
//! bucket, minimum and maximum, bloom filter and page index. What stands for something else begins with `FF E` or `FF F`, which no
//! EUI-64 of a Device does; and the row says besides that no Device is meant, so that nothing rests on that.
//!
//! - meter point: twelve bits `FFE`, then its code (`Mpxn::to_code`, under 2^51);
//! - User: twelve bits `FFF`, then the lowest 52 bits of XXH64 (seed 0) of its eight bytes.

use gridtrail_model::{Anchor, DeviceId, Fragment, Mpxn, UserId};
use xxhash_rust::xxh64::xxh64;

const SHIFT: u32 = 52;
const MPXN: u64 = 0xFFE;
const USER: u64 = 0xFFF;
const REST: u64 = (1 << SHIFT) - 1;

/// The bytes that a row lies under; `None` for rows of earlier versions that name no Device.
pub(crate) fn key_of(anchor: Anchor) -> Option<DeviceId> {
    let stand_in =
        |kind: u64, rest: u64| Some(DeviceId::from_bytes((kind << SHIFT | rest & REST).to_be_bytes()));
    match anchor {
        Anchor::Device(device) => Some(device),
        Anchor::Mpxn(mpxn) => stand_in(MPXN, mpxn.to_code().cast_unsigned()),
        Anchor::User(user) => stand_in(USER, xxh64(&user.to_bytes(), 0)),
        Anchor::Nothing => None,
    }
}

/// The bytes that a fragment lies under.
pub(crate) fn of_fragment(fragment: &Fragment) -> Option<DeviceId> {
    key_of(fragment.anchor())
}

/// The meter point that bytes stand for.
pub(crate) fn mpxn_of(key: DeviceId) -> Option<Mpxn> {
    let number = u64::from_be_bytes(key.to_bytes());
    let code = (number >> SHIFT == MPXN).then_some(number & REST)?;
    Mpxn::from_code(code.cast_signed())
}

/// What bytes stand for, to somebody who sees the rows of these Users. `None`: the rows of another User.
pub(crate) fn of_key(key: DeviceId, users: impl Iterator<Item = UserId>) -> Option<Anchor> {
    if let Some(mpxn) = mpxn_of(key) {
        return Some(Anchor::Mpxn(mpxn));
    }
    if u64::from_be_bytes(key.to_bytes()) >> SHIFT == USER {
        return users.map(Anchor::User).find(|anchor| key_of(*anchor) == Some(key));
    }
    Some(Anchor::Device(key))
}

/// Whether a meter point leads to all that lies under an anchor: to a Device, and to what stands for itself.
pub(crate) fn leads(mpxn: Mpxn, anchor: Anchor) -> bool {
    match anchor {
        Anchor::Device(_) => true,
        Anchor::Mpxn(of) => of == mpxn,
        Anchor::User(_) | Anchor::Nothing => false,
    }
}

/// The bytes of what a fragment names and does not lie under, and is not led to by a pair either.
pub(crate) fn named_beside(fragment: &Fragment, anchor: Anchor) -> impl Iterator<Item = DeviceId> {
    let devices = fragment.device.iter().chain(fragment.concerned_devices().iter()).copied();
    let devices = devices.filter(move |device| anchor != Anchor::Device(*device));
    let mpxns = fragment.mpxns().filter(move |mpxn| !leads(*mpxn, anchor));
    devices.chain(mpxns.filter_map(|mpxn| key_of(Anchor::Mpxn(mpxn))))
}

/// Whether links lead to a fragment, so that they are to be written where it comes to lie at another time.
pub(crate) fn has_links(fragment: &Fragment) -> bool {
    named_beside(fragment, fragment.anchor()).next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The numbers are part of the format: other ones would send look-ups to the wrong rows.
    #[test]
    fn stand_ins_are_what_they_have_always_been() {
        let user = UserId::from_bytes([0x90, 0xB3, 0xD5, 0x1F, 0x30, 1, 0, 0]);
        let text = |anchor| key_of(anchor).map(|key| key.to_string());
        assert_eq!(text(Anchor::Mpxn("1217290354420".parse().unwrap())).unwrap(), "FF-E4-9F-73-42-5D-FE-F4");
        assert_eq!(text(Anchor::User(user)).unwrap(), "FF-F7-85-8E-33-CF-43-1A");
        assert_eq!(text(Anchor::Nothing), None);
    }

    proptest! {
        #[test]
        fn every_anchor_reads_back(mpxn in "[0-9]{6,10}|[0-9]{13}", user: [u8; 8], device: u64) {
            let (mpxn, user) = (mpxn.parse().unwrap(), UserId::from_bytes(user));
            let device = DeviceId::from_bytes((device >> 1).to_be_bytes());
            for anchor in [Anchor::Mpxn(mpxn), Anchor::User(user), Anchor::Device(device)] {
                let key = key_of(anchor).unwrap();
                prop_assert_eq!(of_key(key, [UserId::from_bytes([7; 8]), user].into_iter()), Some(anchor));
            }
        }

        #[test]
        fn no_bytes_panic(bytes: [u8; 8]) {
            let key = DeviceId::from_bytes(bytes);
            if let Some(anchor) = of_key(key, std::iter::empty()) {
                prop_assert_eq!(key_of(anchor), Some(key));
            }
        }
    }
}
