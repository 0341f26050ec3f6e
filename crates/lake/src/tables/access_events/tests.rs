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
    prop_oneof![assigned, notified, confirmed, rejected, unread(), settled()]
}

fn unread() -> impl Strategy<Value = AccessEvent> {
    let ids = prop::collection::btree_set(any::<[u8; 8]>().prop_map(UserId::from_bytes), 0..4);
    let parties = (prop::option::of(party()), prop::option::of(party()));
    let unread = (
        0..UnreadKind::ALL.len(),
        "[a-z/@0-9]{1,80}",
        prop::option::of("[a-z0-9]{1,9}"),
        parties,
        ids,
        time(),
    );
    unread.prop_map(|(kind, place, notice, (by, with), user_ids, at)| AccessEvent::Unread {
        letter: "of-the-record".parse().unwrap(),
        unread: Unread {
            kind: UnreadKind::ALL[kind],
            place,
            notice: notice.map(|id| id.parse().unwrap()),
            by,
            with,
            user_ids,
        },
        at,
    })
}

fn settled() -> impl Strategy<Value = AccessEvent> {
    (prop::option::of("[a-z0-9]{1,9}"), time(), prop::option::of("[a-z ]{1,9}")).prop_map(
        |(notice, at, because)| {
            let letter = || Cause::Letter("of-the-record".parse().unwrap());
            let what = notice.map_or_else(letter, |id| Cause::Notice(id.parse().unwrap()));
            AccessEvent::Settled { what, at, because: because.map(|because| because.parse().unwrap()) }
        },
    )
}

prop_compose! {
    fn a_record()(id in "[!-~]{1,64}", recorded_at in time(), mut event in event()) -> AccessRecord {
        let id: EventId = id.parse().unwrap();
        if let AccessEvent::Unread { letter, .. } | AccessEvent::Settled { what: Cause::Letter(letter), .. } = &mut event {
            *letter = id.clone();
        }
        AccessRecord { id, recorded_at, event }
    }
}

proptest! {
    #[test]
    fn an_event_is_kept_as_it_came(records in prop::collection::vec(a_record(), 1..6)) {
        let records = sorted(records);
        prop_assert_eq!(read(write(&records).unwrap().bytes, "file").unwrap(), records);
    }
}
