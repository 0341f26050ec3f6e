//! Statements by chance. Whatever is asked of a lake with hidden rows is answered as by a copy of the lake that lacks them.

mod grammar;

use crate::it::world::*;
use grammar::{Asked, Grammar};
use gridtrail_model::Event;
use gridtrail_sql::SqlError;

fn set(name: &str, or: u64) -> u64 {
    std::env::var_os(name).map_or(or, |value| value.to_str().and_then(|text| text.parse().ok()).unwrap())
}

/// The rows of User 1; meter reads of User 2, which are open to all; and what is hidden from User 1: poison to casts and divisions.
fn events() -> (Vec<Event>, Vec<Event>) {
    let (mut shown, mut hidden) = (Vec::new(), Vec::new());
    for n in 0..40u64 {
        let (d, variant) =
            (u8::try_from(n % 7).unwrap(), ["4.8.1", "6.15.1", "8.1.1", "4.17"][(n % 4) as usize]);
        let request = received(1, d, n * 3_600_000 / 40, variant, u8::try_from(n % 3).unwrap() + 1);
        shown.extend((n % 3 != 0).then(|| answered(&request, ["I0", "E5", "W1"][(n % 3) as usize])));
        shown.push(request);
    }
    for n in 0..12u64 {
        let request = received(2, u8::try_from(n % 9).unwrap(), 500 + n, "4.8.1", 2);
        shown.extend((n % 2 == 0).then(|| answered(&request, "I0")));
        shown.push(request);
    }
    for n in 0..60u64 {
        let request = received(2, u8::try_from(n % 11).unwrap(), 1_000 + n * 50_000, "6.15.1", 4);
        hidden.push(answered(&request, "I99"));
        hidden.push(request);
    }
    (shown, hidden)
}

/// The answer, in the order that was asked for or in any; of a failure, its kind.
async fn told(session: &gridtrail_sql::SecuredSession, asked: &Asked) -> Result<Vec<Vec<String>>, String> {
    let answer = rows(session, &asked.text).await;
    let mut rows = answer.map_err(|error: SqlError| format!("{:?}", error.kind()))?;
    if !asked.is_ordered {
        rows.sort();
    }
    Ok(rows)
}

/// `GRIDTRAIL_SQL_SEED` and `GRIDTRAIL_SQL_STATEMENTS` say from where on, and how many.
#[tokio::test(flavor = "multi_thread")]
async fn statements_by_chance_tell_nothing_of_hidden_rows() {
    let (seed, count) = (set("GRIDTRAIL_SQL_SEED", 1), set("GRIDTRAIL_SQL_STATEMENTS", 1_000));
    let (shown, hidden) = events();
    let without = lake_of(&shown, 40).await;
    let all: Vec<Event> = shown.iter().chain(&hidden).cloned().collect();
    let with = lake_of(&all, 29).await;
    let (caller, everybody) = (access(&[1]), access(&[1, 2]));
    let sessions = [session(&without, &caller), session(&with, &caller), session(&with, &everybody)];
    let [without, with, unfiltered] = &sessions;
    let (mut answered, mut differ) = (0u64, 0u64);
    for number in seed..seed + count {
        let asked = Grammar::seeded(number).statement();
        let expected = told(without, &asked).await;
        let found = told(with, &asked).await;
        assert_eq!(found, expected, "GRIDTRAIL_SQL_SEED={number}: {}", asked.text);
        answered += u64::from(expected.as_ref().is_ok_and(|rows| !rows.is_empty()));
        // Whoever sees the hidden rows is told otherwise: a tenth of the statements says whether there was anything to tell.
        if number % 10 == 0 {
            differ += u64::from(told(unfiltered, &asked).await != expected);
        }
    }
    println!(
        "{count} statements by chance from seed {seed} on tell nothing of hidden rows: {answered} had rows to show"
    );
    assert!(answered * 2 > count, "of {count} statements {answered} had an answer with rows");
    assert!(count < 100 || differ * 3 > count / 10, "of {} statements {differ} could tell", count / 10);
}
