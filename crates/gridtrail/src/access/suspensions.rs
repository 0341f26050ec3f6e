//! `gridtrail access suspensions` and `settle`: what suspends pairs of User IDs, and the end of it.

use crate::args::{Format, ListFormat, SettleArgs, SuspensionsArgs};
use crate::exit::Failure;
use crate::opening::open_existing;
use crate::output::{self, printable, table_with};
use gridtrail_access::{AccessEvent, AccessRecord, Cause, Moment, Scope, Suspension};
use gridtrail_model::{Timestamp, UserId};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io;

/// User IDs of each side that a person is shown; JSON and CSV have all of them.
const SHOWN: usize = 4;

/// What suspends pairs. The fields are an interface: programs read them as JSON.
#[derive(Debug, Serialize)]
struct SuspensionRow {
    /// The dead letter, as NAME@POSITION, or the notification.
    by: String,
    /// `dead-letter` or `rescission`.
    kind: &'static str,
    /// Since when.
    since: String,
    /// The notification that it is about, where that can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    notification: Option<String>,
    /// `of`: every pair of these User IDs and of the Party; `between`: those of these and the others; `nobody`: none that is known.
    scope: &'static str,
    user_ids: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    other_user_ids: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    party: Option<String>,
}

/// How a person names what suspends pairs.
pub(super) fn named(suspension: &Suspension) -> String {
    match (&suspension.place, &suspension.cause) {
        (Some(place), _) => place.clone(),
        (None, Cause::Letter(letter)) => letter.as_str().to_owned(),
        (None, Cause::Notice(id)) => id.to_string(),
    }
}

impl SuspensionRow {
    fn of(suspension: &Suspension) -> Self {
        let texts = |ids: &BTreeSet<UserId>| ids.iter().map(UserId::to_string).collect();
        let (scope, user_ids, other_user_ids, party) = match &suspension.scope {
            Scope::Of(ids, party) => ("of", texts(ids), Vec::new(), party.as_ref().map(ToString::to_string)),
            Scope::Between(these, those) => ("between", texts(these), texts(those), None),
            Scope::Nobody => ("nobody", Vec::new(), Vec::new(), None),
        };
        let kind = match suspension.cause {
            Cause::Letter(_) => "dead-letter",
            Cause::Notice(_) => "rescission",
        };
        let (by, since) = (named(suspension), suspension.since.to_string());
        let notification = suspension.notice.as_ref().map(ToString::to_string);
        Self { by, kind, since, notification, scope, user_ids, other_user_ids, party }
    }

    /// Which pairs, for a person.
    fn pairs(&self) -> String {
        let some = |ids: &[String]| match ids.len().checked_sub(SHOWN) {
            None | Some(0) => ids.join(", "),
            Some(more) => format!("{} and {more} more", ids[..SHOWN].join(", ")),
        };
        let party = self.party.as_ref().map(|party| format!("the User IDs of {}", printable(party)));
        let of = [Some(some(&self.user_ids)).filter(|ids| !ids.is_empty()), party];
        match self.scope {
            "nobody" => "it names nobody: none is suspended".to_owned(),
            "between" => format!("of {} and {}", some(&self.user_ids), some(&self.other_user_ids)),
            _ => format!("every pair of {}", of.into_iter().flatten().collect::<Vec<_>>().join(" and ")),
        }
    }

    fn settled_by(&self) -> &'static str {
        match self.kind {
            "dead-letter" => "gridtrail dead-letters replay, or dismiss",
            _ => "gridtrail access settle",
        }
    }
}

pub(super) async fn list(args: &SuspensionsArgs, format: ListFormat) -> Result<(), Failure> {
    let lake = open_existing(&args.lake).await?;
    let suspensions = lake.sharing().await?.current().suspensions(Moment::Now(lake.clock().now()));
    let rows: Vec<SuspensionRow> = suspensions.iter().map(SuspensionRow::of).collect();
    let mut out = io::stdout().lock();
    if format == ListFormat::Json {
        return output::write_json(&mut out, &rows);
    }
    let mut table = table_with(&["By", "Since (UTC)", "Pairs", "Settled by"]);
    for row in &rows {
        table.add_row([&printable(&row.by), &row.since, &row.pairs(), row.settled_by()]);
    }
    if format == ListFormat::Csv {
        return output::write(&mut out, &table.csv()?);
    }
    let text = if rows.is_empty() { "nothing is suspended\n".to_owned() } else { format!("{table}\n") };
    output::write(&mut out, text.as_bytes())
}

pub(super) async fn settle(args: &SettleArgs, format: Format) -> Result<(), Failure> {
    let lake = open_existing(&args.lake).await?;
    let now = lake.clock().now();
    let what = Cause::Notice(args.notification.clone());
    let suspensions = lake.sharing().await?.current().suspensions(Moment::Now(now));
    let Some(suspension) = suspensions.iter().find(|suspension| suspension.cause == what) else {
        let reason = format!(
            "{} suspends nothing; `gridtrail access suspensions` lists what does",
            printable(args.notification.as_str())
        );
        return Err(Failure::Argument { argument: "NOTIFICATION", reason });
    };
    lake.writer().await?.tell(vec![settling(what, args, now)?]).await?;
    let row = SuspensionRow::of(suspension);
    let mut out = io::stdout().lock();
    match format {
        Format::Json => output::write_json(&mut out, &row),
        Format::Table => output::write(
            &mut out,
            format!("{}: settled; it suspended pairs {}\n", printable(&row.by), row.pairs()).as_bytes(),
        ),
    }
}

fn settling(what: Cause, args: &SettleArgs, now: Timestamp) -> Result<AccessRecord, Failure> {
    let id = format!("settled-{}", now.millis()).parse();
    let id = id.map_err(|_| Failure::Process("a time is no event id"))?;
    let event = AccessEvent::Settled { what, at: now, because: Some(args.because.clone()) };
    Ok(AccessRecord { id, recorded_at: now, event })
}
