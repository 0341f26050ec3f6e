use super::*;
use gridtrail_access_log::{Chain, Started};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

mod insider;

fn text() -> impl Strategy<Value = Option<String>> {
    prop::option::of(".{0,6}")
}

fn number() -> impl Strategy<Value = Option<u64>> {
    prop::option::of(0..=u64::MAX / 2)
}

fn time() -> impl Strategy<Value = Timestamp> {
    (Timestamp::MIN.millis()..=Timestamp::MAX.millis()).prop_map(|ms| Timestamp::from_millis(ms).unwrap())
}

prop_compose! {
    fn entry()(
        at in time(),
        (call, outcome, reason, times) in (".{0,6}", ".{0,6}", text(), 0..=u64::MAX / 2),
        (subject, party, session, roles) in (text(), text(), text(), text()),
        (key_kind, key, variants) in (text(), text(), text()),
        (from, to) in (prop::option::of(time()), prop::option::of(time())),
        (rows, rows_of_others, page_size, took_us) in (number(), number(), number(), number()),
        (version, peer, detail) in (text(), text(), text()),
        later_page: Option<bool>,
    ) -> Entry {
        Entry {
            at,
            call: call.into(),
            outcome: outcome.into(),
            reason: reason.map(Cow::Owned),
            times,
            subject, party, session, roles,
            key_kind: key_kind.map(Cow::Owned),
            key, variants, from, to, rows, rows_of_others, version, page_size, later_page, peer, took_us, detail,
        }
    }
}

fn read(bytes: bytes::Bytes) -> Vec<Row> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    reader.flat_map(|batch| rows(&batch.unwrap(), "file").unwrap()).collect()
}

proptest! {
    #[test]
    fn a_row_is_read_as_it_was_written(entries in prop::collection::vec(entry(), 1..5)) {
        let started = Started { by: "test".into(), version: "0".into(), heads: Vec::new() };
        let (mut chain, first) = Chain::start(Timestamp::MIN, &started);
        let mut all = vec![first];
        all.extend(entries.into_iter().map(|entry| chain.add(entry)));
        prop_assert!(all.is_sorted_by_key(place_of), "a chain is in order of the table");
        prop_assert_eq!(read(write(&all).unwrap().bytes), all);
    }

    #[test]
    fn places_compare_as_times_and_then_chains(a in time(), b in time(), chains: (u128, u128), seqs: (u64, u64)) {
        let (x, y) = (Uuid::from_u128(chains.0), Uuid::from_u128(chains.1));
        let (high, low) = (x.as_u64_pair().0, y.as_u64_pair().0);
        let order = place(a.millis(), x, seqs.0).cmp(&place(b.millis(), y, seqs.1));
        prop_assert_eq!(order, (a, high, seqs.0).cmp(&(b, low, seqs.1)));
    }
}

/// The hash covers milliseconds, so nothing may hide in what is finer.
#[test]
fn a_time_with_finer_digits_and_a_chain_in_capitals_are_no_rows() {
    let started = Started { by: "test".into(), version: "0".into(), heads: Vec::new() };
    let (_, first) = Chain::start("2026-03-01".parse().unwrap(), &started);
    let right = batch(std::slice::from_ref(&first)).unwrap();
    assert_eq!(rows(&right, "file").unwrap(), std::slice::from_ref(&first));
    let with = |at: usize, column: ArrayRef| {
        let mut columns = right.columns().to_vec();
        columns[at] = column;
        RecordBatch::try_new(Arc::clone(&ACCESS_LOG), columns).unwrap()
    };
    let micros = first.entry.at.millis() * 1_000 + 1;
    let finer = TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC");
    let capitals = StringArray::from(vec![first.chain.to_string().to_uppercase()]);
    for wrong in [with(0, Arc::new(finer)), with(1, Arc::new(capitals))] {
        assert!(rows(&wrong, "file").is_err());
    }
}
