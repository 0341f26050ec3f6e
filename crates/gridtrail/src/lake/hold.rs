//! `gridtrail lake hold`: what stays, however old it becomes.

use crate::args::{AddHoldArgs, Format, HoldCommand, ListFormat, ListHoldsArgs, ReleaseHoldArgs};
use crate::exit::Failure;
use crate::opening::open_existing;
use crate::output::{self, printable, table_with};
use gridtrail_lake::{Hold, HoldChange, HoldScope};
use serde::Serialize;
use std::io;

pub(crate) async fn run(command: &HoldCommand, format: ListFormat) -> Result<(), Failure> {
    match command {
        HoldCommand::Add(args) => add(args, format.of_report()?).await,
        HoldCommand::List(args) => list(args, format).await,
        HoldCommand::Release(args) => release(args, format.of_report()?).await,
    }
}

async fn add(args: &AddHoldArgs, format: Format) -> Result<(), Failure> {
    let AddHoldArgs { of, device, mpxn, user_id, from, to, because } = args;
    let scope = HoldScope { device: *device, mpxn: *mpxn, user: *user_id, from: *from, to: *to };
    let lake = open_existing(&of.lake).await?;
    let placed = lake.place_hold(scope, &because.who, &because.reason).await?;
    let dropped_meanwhile = placed.dropped_meanwhile.iter().map(ToString::to_string).collect();
    let row = HoldRow { dropped_meanwhile, ..HoldRow::of(&placed.hold) };
    let mut out = io::stdout().lock();
    if format == Format::Json {
        return output::write_json(&mut out, &row);
    }
    let mut text = format!("{}: {}\n", row.id, row.keeps());
    if !row.dropped_meanwhile.is_empty() {
        text.push_str(&format!(
            "Note: while the hold was being placed, retention took rows of {}; what the hold names may have been among them. \
             Their files are there for two more days: ask for a copy of the lake now\n",
            row.dropped_meanwhile.join(", ")
        ));
    }
    output::write(&mut out, text.as_bytes())
}

async fn list(args: &ListHoldsArgs, format: ListFormat) -> Result<(), Failure> {
    let holds = open_existing(&args.of.lake).await?.holds().await?;
    let shown = holds.iter().filter(|hold| args.all || hold.released.is_none());
    let rows: Vec<HoldRow> = shown.map(HoldRow::of).collect();
    let mut out = io::stdout().lock();
    if format == ListFormat::Json {
        return output::write_json(&mut out, &rows);
    }
    let mut table = table_with(&["Hold", "Keeps", "Placed", "Released"]);
    for row in &rows {
        let released = row.released.as_ref().map(ChangeRow::text).unwrap_or_default();
        table.add_row([row.id.clone(), row.keeps(), row.placed.text(), released]);
    }
    if format == ListFormat::Csv {
        return output::write(&mut out, &table.csv()?);
    }
    let text = if rows.is_empty() { "no holds\n".to_owned() } else { format!("{table}\n") };
    output::write(&mut out, text.as_bytes())
}

async fn release(args: &ReleaseHoldArgs, format: Format) -> Result<(), Failure> {
    let lake = open_existing(&args.of.lake).await?;
    let hold = lake.release_hold(&args.id, &args.because.who, &args.because.reason).await?;
    let row = HoldRow::of(&hold);
    let mut out = io::stdout().lock();
    match format {
        Format::Json => output::write_json(&mut out, &row),
        Format::Table => {
            let released = row.released.as_ref().map(ChangeRow::text).unwrap_or_default();
            output::write(&mut out, format!("{}: released {released}\n", row.id).as_bytes())
        }
    }
}

/// A hold. The fields are an interface.
#[derive(Debug, Serialize)]
struct HoldRow {
    id: String,
    device_id: Option<String>,
    mpxn: Option<String>,
    user_id: Option<String>,
    from_month: Option<String>,
    to_month: Option<String>,
    placed: ChangeRow,
    released: Option<ChangeRow>,
    /// Months of which retention took rows while it was being placed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    dropped_meanwhile: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ChangeRow {
    at: String,
    who: String,
    reason: String,
}

impl ChangeRow {
    fn of(HoldChange { at, who, reason }: &HoldChange) -> Self {
        Self { at: at.to_string(), who: who.clone(), reason: reason.clone() }
    }

    fn text(&self) -> String {
        format!("{} by {}: {}", self.at, printable(&self.who), printable(&self.reason))
    }
}

impl HoldRow {
    fn of(hold: &Hold) -> Self {
        let HoldScope { device, mpxn, user, from, to } = &hold.scope;
        Self {
            id: hold.id.clone(),
            device_id: device.map(|device| device.to_string()),
            mpxn: mpxn.map(|mpxn| mpxn.to_string()),
            user_id: user.map(|user| user.to_string()),
            from_month: from.map(|month| month.to_string()),
            to_month: to.map(|month| month.to_string()),
            placed: ChangeRow::of(&hold.placed),
            released: hold.released.as_ref().map(ChangeRow::of),
            dropped_meanwhile: Vec::new(),
        }
    }

    /// What it keeps, in words.
    fn keeps(&self) -> String {
        let named = [
            ("Device", &self.device_id),
            ("MPxN", &self.mpxn),
            ("User", &self.user_id),
            ("from", &self.from_month),
            ("to", &self.to_month),
        ];
        let named = named.iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?)));
        named.collect::<Vec<_>>().join(", ")
    }
}
