//! `gridtrail access`: who could see what, and why; and who asked for what (`access_log`).

mod suspensions;

use crate::access_log;
use crate::args::{AccessCommand, ExplainArgs, Format, ListFormat};
use crate::exit::Failure;
use crate::opening::open_existing;
use crate::output::{self, printable, table_with};
use gridtrail_access::{Explanation, Moment, NoticeFate, NoticeKind, Party, ToldNotice};
use gridtrail_model::{Timestamp, UserId};
use serde::Serialize;
use std::io;

pub(crate) async fn run(command: &AccessCommand, format: ListFormat) -> Result<(), Failure> {
    match command {
        AccessCommand::Explain(args) => explain(args, format.of_report()?).await,
        AccessCommand::Suspensions(args) => suspensions::list(args, format).await,
        AccessCommand::Settle(args) => suspensions::settle(args, format.of_report()?).await,
        AccessCommand::Log(args) => access_log::run(args, format).await,
    }
}

async fn explain(args: &ExplainArgs, format: Format) -> Result<(), Failure> {
    let lake = open_existing(&args.lake).await?;
    let sharing = lake.sharing().await?.current();
    let of = args.at.map_or_else(|| Moment::Now(lake.clock().now()), Moment::At);
    let explanation = sharing.explain(args.user, args.row.0, of);
    let explained = Explained::of(args.user, args.row.0, of.time(), explanation);
    let mut out = io::stdout().lock();
    match format {
        Format::Table => output::write(&mut out, explained.text().as_bytes()),
        Format::Json => output::write_json(&mut out, &explained),
    }
}

/// Whether one User could see the records of another. The fields are an interface: programs read them as JSON.
#[derive(Debug, Serialize)]
struct Explained {
    /// Who looks.
    user_id: String,
    /// The Party that they are of at the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    party: Option<String>,
    /// Whose rows.
    row_user_id: String,
    /// The Party that those are of at the time.
    #[serde(skip_serializing_if = "Option::is_none")]
    row_party: Option<String>,
    /// The time.
    at: String,
    /// Whether they could.
    seen: bool,
    /// Why.
    why: &'static str,
    /// What suspends the pair: a dead letter, as NAME@POSITION, or a notification.
    #[serde(skip_serializing_if = "Option::is_none")]
    suspended_by: Option<String>,
    /// When the pair was last rescinded: by then, where a time was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    rescinded_at: Option<String>,
    /// The notifications that name both, as they are known now.
    notifications: Vec<NoticeRow>,
}

/// A notification that names both.
#[derive(Debug, Serialize)]
struct NoticeRow {
    /// Its id.
    id: String,
    /// `grant` or `rescind`.
    asks: &'static str,
    /// The Party that sent it.
    by: String,
    /// When.
    sent_at: String,
    /// `waits`, `counts`, `refused` or `rejected`.
    fate: &'static str,
    /// Since when it counts, or when it was rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// Why it was refused or rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Explained {
    fn of(user: UserId, row: UserId, at: Timestamp, explanation: Explanation) -> Self {
        let why = why(&explanation);
        let Explanation { parties, seen, notices, rescinded_at, suspended } = explanation;
        let [party, row_party] = parties.map(|party| party.as_ref().map(Party::to_string));
        Self {
            user_id: user.to_string(),
            party,
            row_user_id: row.to_string(),
            row_party,
            at: at.to_string(),
            seen,
            why,
            suspended_by: suspended.map(|suspension| suspensions::named(&suspension)),
            rescinded_at: rescinded_at.map(|at| at.to_string()),
            notifications: notices.into_iter().map(NoticeRow::of).collect(),
        }
    }

    fn text(&self) -> String {
        let of = |party: &Option<String>| party.as_deref().map_or("no Party".to_owned(), printable);
        let mut text = format!(
            "{} ({}) {} the audit trails of {} ({}) at {}: {}.\n",
            self.user_id,
            of(&self.party),
            if self.seen { "sees" } else { "does not see" },
            self.row_user_id,
            of(&self.row_party),
            self.at,
            self.why
        );
        // Clause 1.5 speaks of audit trails: of a meter read the answer would be another.
        text.push_str("Meter reads are shown to every User, whatever the grants.\n");
        if let Some(by) = &self.suspended_by {
            text.push_str(&format!("The pair is suspended by {} until that is settled.\n", printable(by)));
        }
        if let Some(at) = &self.rescinded_at {
            text.push_str(&format!("The pair was last rescinded at {at}.\n"));
        }
        if self.notifications.is_empty() {
            return text + "No notification names both.\n";
        }
        let mut table = table_with(&["Notification", "Asks for", "Sent by", "Sent", "What became of it"]);
        for row in &self.notifications {
            let since = row.since.as_deref().map(|since| format!(" since {since}")).unwrap_or_default();
            let reason = row.reason.as_deref().map(|why| format!(": {}", printable(why))).unwrap_or_default();
            let fate = format!("{}{since}{reason}", row.fate);
            table.add_row([
                printable(&row.id),
                row.asks.to_owned(),
                printable(&row.by),
                row.sent_at.clone(),
                fate,
            ]);
        }
        text + &format!("{table}\n")
    }
}

/// Why one could see the other's rows, or could not.
fn why(explanation: &Explanation) -> &'static str {
    match (&explanation.parties, explanation.seen) {
        ([Some(one), Some(other)], true) if one == other => "both are of one Party",
        (_, true) => "both Parties granted it to each other",
        ([None, _], false) => "who looks is of no Party",
        ([_, None], false) => "the rows are of no Party",
        (_, false) if explanation.suspended.is_some() => "it is suspended until an operator settles it",
        (_, false) if explanation.rescinded_at.is_some() => "it was rescinded, and not granted by both again",
        (_, false) => "there is no grant of both Parties in force",
    }
}

impl NoticeRow {
    fn of(told: ToldNotice) -> Self {
        let (fate, since, reason) = match told.fate {
            NoticeFate::Waits => ("waits", None, None),
            NoticeFate::Counts(since) => ("counts", Some(since), None),
            NoticeFate::Refused(why) => ("refused", None, Some(why.to_string())),
            NoticeFate::Rejected(at, reason) => ("rejected", Some(at), Some(reason.to_string())),
        };
        Self {
            id: told.id.to_string(),
            asks: match told.kind {
                NoticeKind::Grant => "grant",
                NoticeKind::Rescind => "rescind",
            },
            by: told.by.to_string(),
            sent_at: told.sent_at.to_string(),
            fate,
            since: since.map(|at| at.to_string()),
            reason,
        }
    }
}
