use super::*;
use gridtrail_access::Party;
use gridtrail_model::UserRole;
use proptest::prelude::*;

fn time() -> impl Strategy<Value = Timestamp> {
    (0i64..4_000_000_000_000).prop_map(|ms| Timestamp::from_millis(ms).unwrap())
}

fn ids() -> impl Strategy<Value = BTreeSet<UserId>> {
    prop::collection::btree_set(any::<[u8; 8]>().prop_map(UserId::from_bytes), 1..4)
}

fn party() -> impl Strategy<Value = Party> {
    "[a-zé ]{1,9}".prop_map(|name| name.parse().unwrap())
}

fn event() -> impl Strategy<Value = AccessEvent> {
    let assigned =
        (any::<[u8; 8]>(), prop::option::of((party(), 0usize..7, prop::option::of("[a-z]{1,30}"))), time());
    let assigned = assigned.prop_map(|(id, to, from)| AccessEvent::Assigned {
        user_id: UserId::from_bytes(id),
        to: to.map(|(party, role, descriptor)| Assignment {
            party,
            role: UserRole::ALL[role],
            descriptor: descriptor.map(|text| text.parse().unwrap()),
        }),
        from,
    });
    let sro = ("[a-z]{1,9}", "[0-9]{0,9}", "[a-z@]{0,9}", "[a-z]{0,9}")
        .prop_map(|(name, telephone, email, signature)| Sro { name, telephone, email, signature });
    let kind = prop_oneof![Just(NoticeKind::Grant), Just(NoticeKind::Rescind)];
    let notified = ("[a-z0-9]{1,9}", kind, (party(), party()), (ids(), ids()), time(), prop::option::of(sro));
    let notified = notified.prop_map(|(id, kind, (by, with), (own, other), at, sro)| AccessEvent::Notified {
        id: id.parse().unwrap(),
        notice: Notice { kind, by, with, own, other, at, sro },
    });
    let confirmed =
        ("[a-z0-9]{1,9}", time()).prop_map(|(id, at)| AccessEvent::Confirmed { id: id.parse().unwrap(), at });
    let rejected =
        ("[a-z0-9]{1,9}", time(), ".[a-z ]{0,20}").prop_filter_map("no control", |(id, at, reason)| {
            Some(AccessEvent::Rejected { id: id.parse().unwrap(), at, reason: reason.parse().ok()? })
        });
    prop_oneof![assigned, notified, confirmed, rejected]
}

prop_compose! {
    fn a_record()(id in "[!-~]{1,64}", recorded_at in time(), event in event()) -> AccessRecord {
        AccessRecord { id: id.parse().unwrap(), recorded_at, event }
    }
}

proptest! {
    #[test]
    fn an_event_is_kept_as_it_came(records in prop::collection::vec(a_record(), 1..6)) {
        let records = sorted(records);
        prop_assert_eq!(read(write(&records).unwrap().bytes, "file").unwrap(), records);
    }
}
