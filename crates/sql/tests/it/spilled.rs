//! What a statement holds beyond its memory: in files, up to a limit, and gone with it.

use crate::it::limits::five_hundred_rows;
use crate::it::world::*;
use gridtrail_lake::Lake;
use gridtrail_sql::{SecuredSession, Spill, SqlError, SqlErrorKind, SqlLimits};
use std::num::NonZeroU32;

/// Too many for the memory of these tests: a quarter of a million, a hundred and fifty bytes and more each.
const PAIRS: &str = "(SELECT a.request_id AS one, b.request_id AS other, \
                      concat(a.request_id, '/', b.request_id, '/', a.device_id, '/', b.device_id, '/', a.request_id) AS text, \
                      b.simplified_transaction_status AS status FROM audit_trails a CROSS JOIN audit_trails b)";

fn within(lake: &Lake, spill: &Spill, parts: u32) -> SecuredSession {
    let parts = NonZeroU32::new(parts).unwrap();
    let limits =
        SqlLimits { memory_bytes: 64 << 20, spill: Some(spill.clone()), parts, ..SqlLimits::default() };
    SecuredSession::new(&lake.snapshot(), &access(&[1]), clock(), limits).unwrap()
}

/// What fails without files (`a_statement_that_needs_too_much_memory_fails`) ends well, with every row in its place.
#[tokio::test(flavor = "multi_thread")]
async fn sorts_and_groups_that_do_not_fit_go_through_files() {
    let lake = five_hundred_rows().await;
    let folder = tempfile::tempdir().unwrap();
    let spill = Spill::into_folder(folder.path().to_owned(), 1 << 30).unwrap();
    for parts in [1, 2] {
        let session = within(&lake, &spill, parts);
        let ids = rows(&session, "SELECT request_id FROM audit_trails ORDER BY 1").await.unwrap().concat();
        let mut expected = ids.iter().flat_map(|other| ids.iter().map(move |one| [other, one]));
        let sorted = format!("SELECT other, one, text FROM {PAIRS} ORDER BY other, one, text");
        let (mut answer, before) = (session.query(&sorted).await.unwrap(), spill.written());
        while let Some(batch) = answer.next().await.unwrap() {
            for row in texts_of(&batch) {
                assert_eq!(row[..2].iter().collect::<Vec<_>>(), expected.next().unwrap());
            }
        }
        assert_eq!(expected.next(), None);
        assert!(spill.written() > before, "nothing was written");
        drop(answer);
        // Texts, and words.
        for keys in ["text", "text, status"] {
            let before = spill.written();
            let grouped = format!("SELECT {keys}, count(*) AS n FROM {PAIRS} GROUP BY {keys}");
            let counted = format!("SELECT count(*), sum(n), max(n) FROM ({grouped})");
            assert_eq!(rows(&session, &counted).await.unwrap(), [["250000", "250000", "1"]], "{keys}");
            assert!(spill.written() > before, "{keys}: nothing was written");
        }
    }
    gone(&spill).await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Nothing is held any more, as soon as the tasks of statements that are over have ended.
async fn gone(spill: &Spill) {
    while spill.held() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_needs_more_files_than_it_may_have_fails() {
    let lake = five_hundred_rows().await;
    let folder = tempfile::tempdir().unwrap();
    let spill = Spill::into_folder(folder.path().to_owned(), 2 << 20).unwrap();
    let session = within(&lake, &spill, 2);
    for statement in [
        format!("SELECT * FROM {PAIRS} ORDER BY text"),
        format!("SELECT text, count(*) FROM {PAIRS} GROUP BY text"),
    ] {
        let error = rows(&session, &statement).await.unwrap_err();
        assert!(matches!(error, SqlError::Memory(_)), "{error:?}");
        assert!(error.to_string().contains("more than 2 MiB of temporary files"), "{error}");
        gone(&spill).await;
    }
    assert_eq!(value(&session, "SELECT count(*) FROM audit_trails").await, "500");
}

/// The folder is away: statements that need none of it are answered, and the others say that it is nothing of theirs.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_takes_no_files_any_more_is_told() {
    let lake = five_hundred_rows().await;
    let folder = tempfile::tempdir().unwrap();
    let spill = Spill::into_folder(folder.path().to_owned(), 1 << 30).unwrap();
    folder.close().unwrap();
    let session = within(&lake, &spill, 2);
    let error = rows(&session, &format!("SELECT * FROM {PAIRS} ORDER BY text")).await.unwrap_err();
    assert_eq!(error.kind(), SqlErrorKind::Unavailable, "{error:?}");
    assert_eq!(value(&session, "SELECT count(*) FROM audit_trails").await, "500");
}
