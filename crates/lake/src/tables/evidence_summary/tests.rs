mod aged;

use super::*;
use crate::evidence::{Skip, SourceEvidence};
use proptest::prelude::*;

const START: i64 = 20_000 * DAY_MS + 7 * HOUR_MS;

/// What one commit does with one source, by chance.
#[derive(Debug, Clone)]
struct Step {
    source: usize,
    waits_ms: i64,
    marks: Option<i64>,
    delays: (i64, i64),
    read: u64,
    letters: i64,
    settles: bool,
    lost: i64,
    event: Option<u8>,
    broken: bool,
}

const SOURCES: [(&str, &str); 4] = [
    ("kafka:c:one:0", "events/0"),
    ("kafka:c:one:1", "events/1"),
    ("kafka:c:two:0", "access/0"),
    ("file:a", "a.jsonl"),
];

prop_compose! {
    fn step()(
        source in 0usize..SOURCES.len(),
        waits_ms in prop_oneof![0..5 * MINUTE_MS, 0..DAY_MS, 0..3 * DAY_MS],
        marks in prop::option::weighted(0.7, prop_oneof![0..HOUR_MS, 0..40 * HOUR_MS]),
        delays in (prop_oneof![0..HOUR_MS, 0..50 * HOUR_MS], prop_oneof![0..HOUR_MS, 0..50 * HOUR_MS]),
        read in 0u64..5,
        letters in prop_oneof![Just(0), 0i64..4],
        (settles, lost, event) in (any::<bool>(), prop_oneof![Just(0), 0i64..3], prop::option::weighted(0.2, 0u8..30)),
        broken in prop::bool::weighted(0.05),
    ) -> Step {
        Step { source, waits_ms, marks, delays, read, letters, settles, lost, event, broken }
    }
}

/// The commits of some steps. Marks never go back, be they those of a topic or what files tell, unless `unruly`.
fn commits(steps: &[Step], unruly: bool) -> Vec<Commit> {
    let (mut now, mut at, mut complete, mut open) = (START, [0; 4], [None; 4], Vec::new());
    let mut newest = i64::MIN;
    let mut commits = Vec::new();
    for (version, step) in (1..).zip(steps) {
        now += step.waits_ms;
        let (source, name) = SOURCES[step.source];
        let mark = step.marks.map(|behind| now - behind);
        let known = &mut complete[step.source];
        *known = if unruly { mark } else { mark.max(*known) };
        let from = at[step.source];
        let to = from + step.letters + step.lost + 1;
        at[step.source] = to;
        let (mut least, worst) = (step.delays.0.min(step.delays.1), step.delays.0.max(step.delays.1));
        if !unruly && name == "a.jsonl" {
            // Files are read in the order in which their records were received.
            newest = newest.max(now - least);
            least = now - newest;
        }
        let mut evidence = SourceEvidence {
            source: source.into(),
            name: name.into(),
            first: from == 0,
            from,
            to,
            records: step.read + step.letters.unsigned_abs(),
            stored: step.read,
            dead_lettered: step.letters.unsigned_abs(),
            dead_lettered_at: (from..from + step.letters).collect(),
            suspending_at: (from..from + step.letters / 2).collect(),
            skipped: vec![Skip { from: to - step.lost, to, why: SkipReason::Lost }],
            recorded_min_ms: (step.read > 0).then_some(now - worst),
            recorded_max_ms: (step.read > 0).then_some(now - least),
            recorded_mean_ms: (step.read > 0).then_some(now - i64::midpoint(least, worst)),
            finished: mark.is_some(),
            end: Some(to + 1),
            complete_up_to_ms: *known,
            committed_at_ms: now,
            event: step.event.map(|event| format!("event {event}")),
            ..SourceEvidence::default()
        };
        if step.letters > 0 {
            open.push((source, name, evidence.dead_lettered_at.clone()));
        }
        evidence.seal = evidence.sealed_by();
        let mut sources = vec![Evidence::Whole(Box::new(evidence))];
        if step.broken {
            sources.push(Evidence::Broken("changed".into()));
        }
        if step.settles
            && let Some((source, name, positions)) = open.pop()
        {
            let mut settled = SourceEvidence::of_letters(source, name);
            settled.dismissed_at = positions.iter().take(2).collect();
            (settled.committed_at_ms, settled.event) = (now, Some("because".into()));
            sources.push(Evidence::Whole(Box::new(settled)));
        }
        commits.push(Commit { version, kind: "ingest".into(), sources });
    }
    commits
}

fn folded(commits: &[Commit]) -> EvidenceSummary {
    let mut summary = EvidenceSummary::default();
    commits.iter().for_each(|commit| drop(summary.take(commit, None)));
    summary
}

/// Summaries of some stretches of commits, as files have them, put together.
fn in_stretches(commits: &[Commit], cuts: &[usize]) -> EvidenceSummary {
    let (mut whole, mut from) = (EvidenceSummary::default(), 0);
    for to in cuts.iter().copied().chain([commits.len()]) {
        let text = serde_json::to_string(&folded(&commits[from..to.max(from)])).unwrap();
        whole.absorb(serde_json::from_str(&text).unwrap());
        from = to.max(from);
    }
    whole
}

/// Which minutes of the last half hour are marked depends on where a stretch begins.
fn but_marks(mut summary: EvidenceSummary) -> EvidenceSummary {
    summary.partitions.values_mut().for_each(|partition| partition.marks = Marks::default());
    summary
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn summaries_come_to_what_their_commits_come_to(
        steps in prop::collection::vec(step(), 1..60),
        cuts in prop::collection::btree_set(0usize..60, 0..6),
    ) {
        let commits = commits(&steps, false);
        let cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(commits.len())).collect();
        let (whole, parts) = (folded(&commits), in_stretches(&commits, &cuts));
        prop_assert_eq!(but_marks(parts.clone()), but_marks(whole.clone()));
        for (id, partition) in &parts.partitions {
            let (marks, of_all) = (&partition.marks, &whole.partitions[id].marks);
            prop_assert_eq!(marks.iter().next_back().is_some(), of_all.iter().next_back().is_some());
        }
    }

    /// Where marks go back, as no writer of ours has them do, a summary tells of no shorter lag.
    #[test]
    fn no_summary_is_better_than_its_commits(
        steps in prop::collection::vec(step(), 1..60),
        cuts in prop::collection::btree_set(0usize..60, 0..6),
    ) {
        let commits = commits(&steps, true);
        let cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(commits.len())).collect();
        let (whole, parts) = (folded(&commits), in_stretches(&commits, &cuts));
        for (day, row) in &whole.days {
            prop_assert!(parts.days[day].lag_worst_ms >= row.lag_worst_ms, "{day:?}");
        }
        for (key, open) in &whole.letters {
            let since = |open: &[OpenLetters]| open.iter().map(|letters| letters.since_ms).min();
            prop_assert!(since(&parts.letters[key]) <= since(open));
        }
        let known = |summary: &EvidenceSummary| {
            summary.partitions.values().map(|partition| partition.complete_ms).collect::<Vec<_>>()
        };
        prop_assert_eq!(known(&parts), known(&whole));
    }

    /// Very many letters are one entry a day and partition: none is forgotten, and none is younger.
    #[test]
    fn letters_that_are_put_together_are_all_there(
        steps in prop::collection::vec(step(), LETTERS_APART..2 * LETTERS_APART),
    ) {
        let steps: Vec<Step> = steps.into_iter().map(|step| Step { source: 0, letters: 2, settles: false, ..step }).collect();
        let apart = folded(&commits(&steps, false));
        let mut together = apart.clone();
        together.put_letters_together();
        let of = |summary: &EvidenceSummary| {
            let open: Vec<_> = summary.letters.values().flatten().cloned().collect();
            let positions: u64 = open.iter().map(|letters| letters.positions.len()).sum();
            (positions, open.iter().map(|letters| letters.since_ms).min(), open.len())
        };
        let ((all, since, many), (put, put_since, few)) = (of(&apart), of(&together));
        prop_assert_eq!((all, since), (put, put_since));
        prop_assert!(few <= many);
    }

    /// As the commits say it, where the limit is a whole number of hours; and never nearer than it is, wherever it lies.
    #[test]
    fn how_many_were_late_lies_within_its_bounds(
        steps in prop::collection::vec(step(), 1..40),
        hours in 1i64..50,
        beside in -HOUR_MS..HOUR_MS,
    ) {
        let (mut least, mut most, mut by_day) = ([0, 0], [0, 0], [(0, 0), (0, 0)]);
        let limits = [hours * HOUR_MS, (hours * HOUR_MS + beside).max(1)];
        for step in steps.iter().filter(|step| step.read > 0) {
            let (short, long) = (step.delays.0.min(step.delays.1), step.delays.0.max(step.delays.1));
            for (n, limit) in limits.iter().enumerate() {
                if short > *limit {
                    (least[n], most[n]) = (least[n] + step.read, most[n] + step.read);
                } else if long > *limit {
                    (least[n], most[n]) = (least[n] + 1, most[n] + (step.read - 1).max(1));
                }
            }
        }
        let summary = folded(&commits(&steps, true));
        for row in summary.days.values() {
            for (n, limit) in limits.iter().enumerate() {
                let (a, b) = row.later_than(*limit);
                by_day[n] = (by_day[n].0 + a, by_day[n].1 + b);
            }
        }
        prop_assert_eq!(by_day[0], (least[0], most[0]));
        prop_assert!(by_day[1].0 <= least[1] && most[1] <= by_day[1].1, "{:?} {} {}", by_day[1], least[1], most[1]);
    }
}
