//! The displayed form of a User: the "DCC Service User Organisation ID" of the Self-Service Interface.

use crate::party::{Assignment, Descriptor, Party};
use gridtrail_model::{UserId, UserRole};
use std::collections::BTreeSet;
use std::fmt;

/// "DCC Service User Organisation ID", a displayed field: `(<User ID>)<Party>/<User Role Reference> (<Service User Descriptor>)`.
///
/// The descriptor stands there only where there is one, and a User ID that is nobody's is `(<User ID>)`. It is written and never
/// read: inputs and tokens name the User ID. Source: Smart Energy Code Appendix AH, definitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrganisationId<'a> {
    user_id: UserId,
    assigned: Option<(&'a Party, UserRole, Option<&'a Descriptor>)>,
}

impl<'a> OrganisationId<'a> {
    /// The Organisation ID of a User ID of which all this is told of one time. What contradicts itself is not shown: neither a Party of which
    /// nobody knows whether it is the right one, nor one of two descriptors.
    pub(crate) fn of(user_id: UserId, told: Option<&'a BTreeSet<Option<Assignment>>>) -> Self {
        Self { user_id, assigned: told.and_then(agreed) }
    }
}

/// What all assignments of one time agree on. One that names no descriptor says nothing against another's.
fn agreed(told: &BTreeSet<Option<Assignment>>) -> Option<(&Party, UserRole, Option<&Descriptor>)> {
    let first = told.first()?.as_ref()?;
    let is_same = |to: &Option<Assignment>| {
        to.as_ref().is_some_and(|to| (&to.party, to.role) == (&first.party, first.role))
    };
    if !told.iter().all(is_same) {
        return None;
    }
    let descriptors: BTreeSet<_> = told.iter().flatten().filter_map(|to| to.descriptor.as_ref()).collect();
    let descriptor = if descriptors.len() == 1 { descriptors.first().copied() } else { None };
    Some((&first.party, first.role, descriptor))
}

impl fmt::Display for OrganisationId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({})", self.user_id)?;
        if let Some((party, role, descriptor)) = self.assigned {
            write!(f, "{party}/{role}")?;
            if let Some(descriptor) = descriptor {
                write!(f, " ({descriptor})")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{AccessEvent, Assignment, Sharing};
    use gridtrail_model::{Timestamp, UserId, UserRole};
    use proptest::prelude::*;

    const USER: &str = "90-B3-D5-1F-30-01-00-00";

    fn at(day: i64) -> Timestamp {
        "2026-03-01T00:00:00Z".parse::<Timestamp>().unwrap().plus_millis(day * 86_400_000)
    }

    fn assigned(to: Option<(&str, UserRole, Option<&str>)>, from: Timestamp) -> AccessEvent {
        let to = to.map(|(party, role, descriptor)| Assignment {
            party: party.parse().unwrap(),
            role,
            descriptor: descriptor.map(|text| text.parse().unwrap()),
        });
        AccessEvent::Assigned { user_id: USER.parse().unwrap(), to, from }
    }

    fn told(events: impl IntoIterator<Item = AccessEvent>) -> Sharing {
        let mut sharing = Sharing::default();
        events.into_iter().for_each(|event| sharing.take(event));
        sharing
    }

    fn shown(sharing: &Sharing, day: i64) -> String {
        let user: UserId = USER.parse().unwrap();
        sharing.organisation_id(user, at(day)).to_string()
    }

    /// The golden forms of the definition, for each User Role Reference of DUIS.
    #[test]
    fn the_displayed_form_is_that_of_the_code() {
        for (role, reference) in [
            (UserRole::IS, "IS"),
            (UserRole::ES, "ES"),
            (UserRole::GS, "GS"),
            (UserRole::RSA, "RSA"),
            (UserRole::ED, "ED"),
            (UserRole::GT, "GT"),
            (UserRole::OU, "OU"),
        ] {
            let plain = told([assigned(Some(("Acme Energy", role, None)), at(0))]);
            assert_eq!(shown(&plain, 0), format!("(90-B3-D5-1F-30-01-00-00)Acme Energy/{reference}"));
            let described = told([assigned(Some(("Acme Energy", role, Some("North desk"))), at(0))]);
            assert_eq!(
                shown(&described, 0),
                format!("(90-B3-D5-1F-30-01-00-00)Acme Energy/{reference} (North desk)")
            );
        }
        assert_eq!(shown(&Sharing::default(), 0), "(90-B3-D5-1F-30-01-00-00)");
    }

    #[test]
    fn it_is_that_of_the_time_as_known_now() {
        let avon = assigned(Some(("Avon", UserRole::IS, None)), at(0));
        let brent = assigned(Some(("Brent", UserRole::GS, Some("Gas"))), at(10));
        let none = assigned(None, at(20));
        let mut sharing = told([none, brent, avon]);
        let expected = [
            (-1, "(90-B3-D5-1F-30-01-00-00)"),
            (0, "(90-B3-D5-1F-30-01-00-00)Avon/IS"),
            (9, "(90-B3-D5-1F-30-01-00-00)Avon/IS"),
            (10, "(90-B3-D5-1F-30-01-00-00)Brent/GS (Gas)"),
            (20, "(90-B3-D5-1F-30-01-00-00)"),
        ];
        for (day, expected) in expected {
            assert_eq!(shown(&sharing, day), expected, "day {day}");
        }
        // It becomes known late that the User ID had been Clyde's since the fifth.
        sharing.take(assigned(Some(("Clyde", UserRole::RSA, None)), at(5)));
        assert_eq!(shown(&sharing, 4), "(90-B3-D5-1F-30-01-00-00)Avon/IS");
        assert_eq!(shown(&sharing, 9), "(90-B3-D5-1F-30-01-00-00)Clyde/RSA");
        assert_eq!(shown(&sharing, 10), "(90-B3-D5-1F-30-01-00-00)Brent/GS (Gas)");
    }

    #[test]
    fn what_contradicts_itself_is_not_shown() {
        let of = |party, role, descriptor| assigned(Some((party, role, descriptor)), at(0));
        let bare = "(90-B3-D5-1F-30-01-00-00)";
        for (events, expected) in [
            ([of("Avon", UserRole::IS, None), of("Brent", UserRole::IS, None)], bare),
            ([of("Avon", UserRole::IS, None), of("Avon", UserRole::GS, None)], bare),
            ([of("Avon", UserRole::IS, None), assigned(None, at(0))], bare),
            (
                [of("Avon", UserRole::IS, Some("North")), of("Avon", UserRole::IS, Some("South"))],
                "(90-B3-D5-1F-30-01-00-00)Avon/IS",
            ),
            (
                // Told before the descriptor was registered, or by a source that does not know it.
                [of("Avon", UserRole::IS, None), of("Avon", UserRole::IS, Some("North"))],
                "(90-B3-D5-1F-30-01-00-00)Avon/IS (North)",
            ),
        ] {
            assert_eq!(shown(&told(events.clone()), 0), expected);
            assert_eq!(shown(&told(events.into_iter().rev()), 0), expected);
        }
    }

    proptest! {
        /// It names a Party exactly where the User ID is that Party's for rights too, but where the roles told are several.
        #[test]
        fn it_shows_no_party_that_rights_do_not_know(
            told_of in prop::collection::vec((0i64..6, prop::option::of((0usize..2, any::<bool>()))), 0..8),
            day in -1i64..7,
        ) {
            let roles = [UserRole::IS, UserRole::GS];
            let sharing = told(told_of.into_iter().map(|(day, to)| {
                let to = to.map(|(party, role)| (["Avon", "Brent"][party], roles[usize::from(role)], None));
                assigned(to, at(day))
            }));
            let shown = shown(&sharing, day);
            match sharing.owner(USER.parse().unwrap(), at(day)) {
                Some(owner) => prop_assert!(
                    shown == format!("({USER})") || shown.starts_with(&format!("({USER}){owner}/")), "{}", shown
                ),
                None => prop_assert_eq!(shown, format!("({USER})")),
            }
        }
    }
}
