//! Who sees what, and what an error tells.

use super::*;

#[test]
fn audit_shows_own_rows_and_meter_reads_show_all_of_four_variants() {
    let seeds: Vec<Seed> = (0..3)
        .flat_map(|user| (0..VARIANTS.len()).map(move |variant| Seed { user, variant, counter: 0, ..ROW }))
        .map(|seed| Seed { counter: u8::try_from(seed.variant).unwrap(), ..seed })
        .collect();
    let bench = bench(&seeds);
    let who = access("ann", &[1, 9]);
    let own = block_on(bench.search.audit_trails(&who, &by_device(1))).unwrap();
    assert_eq!(own.rows.len(), VARIANTS.len());
    assert!(own.rows.iter().all(|row| row.trail.user_id == user(1)));
    let reads = block_on(bench.search.meter_reads(&who, &by_device(1))).unwrap();
    assert_eq!(reads.rows.len(), 3 * 2, "two of the variants are meter reads; 4.8 is none");
    assert!(reads.rows.iter().all(|row| row.trail.variant.unwrap().is_meter_read()));
}

#[test]
fn a_role_without_the_component_is_denied_and_an_ended_access_must_log_in() {
    let bench = bench(&[ROW]);
    let eleventh = access_with("ann", &[1], 11, start());
    for result in [
        block_on(bench.search.audit_trails(&eleventh, &by_device(1))),
        block_on(bench.search.meter_reads(&eleventh, &by_device(1))),
    ] {
        assert_eq!(result.unwrap_err().kind(), SearchErrorKind::Denied);
    }
    let who = access("ann", &[1]);
    let reference = first_page(&bench, &who, &by_device(1)).0.rows[0].reference;
    let denied = block_on(bench.search.audit_trail(&eleventh, &reference.into())).unwrap_err();
    assert_eq!(denied.kind(), SearchErrorKind::Denied);
    bench.clock.advance(12 * 3_600_000);
    let ended = block_on(bench.search.audit_trails(&who, &by_device(1))).unwrap_err();
    assert_eq!(ended.kind(), SearchErrorKind::NoIdentity);
}

#[test]
fn a_row_is_got_by_its_reference_and_anothers_row_looks_like_none() {
    let bench = bench(&[ROW, Seed { user: 2, variant: 3, ..ROW }]);
    let (ann, bob) = (access("ann", &[1]), access("bob", &[2]));
    let row = first_page(&bench, &ann, &by_device(1)).0.rows.remove(0);
    let answer = block_on(bench.search.audit_trail(&ann, &row.reference.into())).unwrap();
    assert_eq!(answer.row, row);
    assert_eq!((answer.complete_up_to, answer.version), (Some(start()), SnapshotVersion::of_trails(1)));

    let absent = TrailRef { anchor: Anchor::Device(device(7)), matched: Some(device(7)), ..row.reference };
    let bobs = first_page(&bench, &bob, &by_device(1)).0.rows[0].reference;
    let errors = [
        block_on(bench.search.audit_trail(&bob, &row.reference.into())).unwrap_err(),
        block_on(bench.search.audit_trail(&bob, &absent.into())).unwrap_err(),
        block_on(bench.search.meter_read(&bob, &bobs.into())).unwrap_err(),
    ];
    for error in &errors {
        assert_eq!(error.kind(), SearchErrorKind::NotFound);
        assert_eq!(format!("{error:?} {error} {}", error.user_text()), {
            let same = &SearchError::NotFound;
            format!("{same:?} {same} {}", same.user_text())
        });
    }
    assert!(block_on(bench.search.meter_read(&bob, &row.reference.into())).is_ok(), "4.8.1 is open to all");
}

#[test]
fn what_lies_beneath_an_error_is_not_told() {
    let bench = bench(&[ROW]);
    let who = access("ann", &[1]);
    for (kind, expected) in [
        (LakeErrorKind::Unavailable, SearchErrorKind::Unavailable),
        (LakeErrorKind::VersionGone, SearchErrorKind::Unavailable),
        (LakeErrorKind::Corrupt, SearchErrorKind::Corrupt),
        (LakeErrorKind::Internal, SearchErrorKind::Internal),
        (LakeErrorKind::Denied, SearchErrorKind::Internal),
    ] {
        bench.lake.set_fault(Some(Fault::Kind(kind)));
        let error = block_on(bench.search.audit_trails(&who, &by_device(1))).unwrap_err();
        assert_eq!(error.kind(), expected);
        assert!(!error.user_text().to_string().contains("secret"));
        let store = std::error::Error::source(&error).and_then(std::error::Error::source);
        let source = store.and_then(std::error::Error::source).unwrap_or_else(|| store.unwrap());
        assert!(source.to_string().contains("secret"), "the log still has it: {source}");
    }
}
