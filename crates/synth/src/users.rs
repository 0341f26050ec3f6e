//! The Users of the region, with skewed shares.

use crate::chance::Chance;
use gridtrail_model::{DeviceId, UserId, UserRole};

/// The DCC's access control broker: the target of every RequestID that names no Device.
pub const ACCESS_CONTROL_BROKER: DeviceId =
    DeviceId::from_bytes([0x90, 0xB3, 0xD5, 0x1F, 0x30, 0x00, 0x00, 0x02]);

/// One User: an organisation in one User Role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// The User ID.
    pub id: UserId,
    /// The User Role.
    pub role: UserRole,
    /// What the User's originator counters start from. Some start above 2^63: the counter is a full u64.
    pub(crate) counter_origin: u64,
}

/// All Users, by role.
#[derive(Debug, Clone)]
pub(crate) struct Users {
    all: Vec<User>,
    import: Vec<User>,
    gas: Vec<User>,
    export: Vec<User>,
    distributors: Vec<User>,
    transporters: Vec<User>,
    others: Vec<User>,
}

impl Users {
    /// So many Users, at least 6: one of each role, and of the rest half import suppliers, a quarter gas
    /// suppliers, a quarter of the other roles in turn.
    pub(crate) fn new(count: u16) -> Self {
        use UserRole::{ED, ES, GS, GT, IS, OU};
        const FIRST: [UserRole; 6] = [IS, GS, ED, GT, OU, ES];
        const REST: [UserRole; 16] = [IS, IS, GS, OU, IS, IS, GS, ED, IS, IS, GS, OU, IS, IS, GS, GT];
        let roles = FIRST.into_iter().chain(REST.into_iter().cycle());
        let all: Vec<User> = (0..count).zip(roles).map(|(number, role)| user(number, role)).collect();
        let of = |role: UserRole| all.iter().copied().filter(|user| user.role == role).collect();
        Self {
            import: of(IS),
            gas: of(GS),
            export: of(ES),
            distributors: of(ED),
            transporters: of(GT),
            others: of(OU),
            all,
        }
    }

    pub(crate) fn all(&self) -> &[User] {
        &self.all
    }

    /// The suppliers of both fuels of one household. Most take both from one organisation, which holds the
    /// same place among the suppliers of either fuel.
    pub(crate) fn suppliers(&self, chance: &mut Chance) -> (User, User) {
        let import = zipf(self.import.len(), chance);
        let same = chance.per_mille(700) && import < self.gas.len();
        let gas = if same { import } else { zipf(self.gas.len(), chance) };
        (self.import[import], self.gas[gas])
    }

    /// The electricity distributor and the gas transporter of an area.
    pub(crate) fn networks(&self, area: usize) -> (User, User) {
        (self.distributors[area % self.distributors.len()], self.transporters[area % self.transporters.len()])
    }

    pub(crate) fn other(&self, chance: &mut Chance) -> User {
        self.others[zipf(self.others.len(), chance)]
    }

    pub(crate) fn exporter(&self, chance: &mut Chance) -> User {
        self.export[zipf(self.export.len(), chance)]
    }
}

fn user(number: u16, role: UserRole) -> User {
    let [high, low] = number.to_be_bytes();
    User {
        id: UserId::from_bytes([0x90, 0xB3, 0xD5, 0x1F, 0x30, 0x02, high, low]),
        role,
        counter_origin: if number % 5 == 1 { 1 << 63 } else { 0 },
    }
}

/// A place in a list of this length; the n-th is n times less likely than the first.
fn zipf(length: usize, chance: &mut Chance) -> usize {
    chance.weighted((1..=length).map(|place| 1_000_000 / place as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Lane;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn every_role_is_there_and_ids_differ() {
        for count in [6, 24, 1_000] {
            let users = Users::new(count);
            let ids: BTreeSet<_> = users.all().iter().map(|user| user.id).collect();
            assert_eq!(ids.len(), usize::from(count));
            for list in [&users.import, &users.gas, &users.export, &users.distributors, &users.transporters] {
                assert!(!list.is_empty());
            }
            assert!(!users.others.is_empty());
            assert!(users.all().iter().any(|user| user.counter_origin > u64::MAX / 2));
        }
    }

    #[test]
    fn the_first_supplier_has_twice_the_share_of_the_second() {
        let users = Users::new(24);
        let mut shares: BTreeMap<UserId, u32> = BTreeMap::new();
        for number in 0..20_000 {
            let (import, _) = users.suppliers(&mut Chance::of(5, Lane::Household, number));
            *shares.entry(import.id).or_default() += 1;
        }
        let (first, second) = (shares[&users.import[0].id], shares[&users.import[1].id]);
        assert!((17..23).contains(&(first * 10 / second)), "{first} and {second}");
    }
}
