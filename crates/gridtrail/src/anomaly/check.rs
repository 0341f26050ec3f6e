//! `gridtrail anomaly check`: what would have been flagged.

use super::{narrowed, note_named};
use crate::admitted::Call;
use crate::args::{AnomalyCheckArgs, ListFormat};
use crate::exit::Failure;
use crate::output::{self, count, table_with};
use gridtrail_access::Access;
use gridtrail_anomaly::{AnomalyView, Flagged, Stretch, Volumes, flagged};
use gridtrail_lake::{Lake, ScanQuery, View};
use gridtrail_model::{ServiceReferenceVariant, Subject, Timestamp, UserId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

const DAY_MS: i64 = 24 * 3_600_000;

/// What volumes came to.
#[derive(Debug, Serialize)]
struct Checked {
    /// From this time on.
    from: String,
    /// Before this time.
    to: String,
    /// Thresholds that were in force at some time in between.
    thresholds: usize,
    /// Communications that were held against them.
    communications: usize,
    /// Thresholds that were exceeded.
    flagged: Vec<Line>,
}

/// A threshold that was exceeded.
#[derive(Debug, Serialize)]
struct Line {
    user_id: String,
    kind: &'static str,
    user_role: Option<String>,
    service_reference_variant: Option<String>,
    period_seconds: u32,
    threshold: u64,
    most: u64,
    communications_beyond: u64,
    first_at: String,
    last_at: String,
}

impl Line {
    fn of(user: UserId, found: &Flagged) -> Self {
        let scope = found.threshold.scope;
        Self {
            user_id: user.to_string(),
            kind: found.threshold.kind.as_str(),
            user_role: found.role.map(|role| role.to_string()),
            service_reference_variant: scope.variant.map(|variant| variant.to_string()),
            period_seconds: scope.period.seconds(),
            threshold: found.threshold.communications,
            most: found.most,
            communications_beyond: found.communications,
            first_at: found.first_at.to_string(),
            last_at: found.last_at.to_string(),
        }
    }
}

pub(super) async fn run(
    args: &AnomalyCheckArgs,
    (lake, who): (&Lake, &Access),
    (call, format): (&mut Call, ListFormat),
) -> Result<(), Failure> {
    note_named(&args.user_ids, call);
    let (from, to) = span(args, lake)?;
    (call.entry.from, call.entry.to) = (Some(from), Some(to));
    let checked = check(args, (lake, who), (from, to)).await?;
    call.entry.rows = Some(checked.flagged.len() as u64);
    write(&checked, format)
}

/// From when on and before when volumes are checked.
fn span(args: &AnomalyCheckArgs, lake: &Lake) -> Result<(Timestamp, Timestamp), Failure> {
    let to = args.to.unwrap_or_else(|| lake.clock().now());
    let from = args.from.unwrap_or_else(|| to.plus_millis(-DAY_MS));
    if from >= to {
        let reason = format!("{from} is not before {to}");
        return Err(Failure::Argument { argument: "--from", reason });
    }
    Ok((from, to))
}

async fn check(
    args: &AnomalyCheckArgs,
    (lake, who): (&Lake, &Access),
    span: (Timestamp, Timestamp),
) -> Result<Checked, Failure> {
    let who = narrowed(who, &args.user_ids.iter().copied().collect())?;
    let (fragments, _) = lake.snapshot().thresholds(&who).await?;
    let scopes: BTreeMap<UserId, Scopes> =
        fragments.iter().filter_map(|of| Scopes::of(of.known(), span)).collect();
    let volumes = volumes(args, (lake, &who), &scopes, span).await?;
    Ok(checked(&scopes, &volumes, span))
}

/// The thresholds of a User that were in force at some time, and what they count.
struct Scopes {
    stretches: Vec<Stretch>,
    thresholds: usize,
    /// `None` among them: all of its communications.
    variants: BTreeSet<Option<ServiceReferenceVariant>>,
    /// The longest period.
    longest_ms: i64,
}

impl Scopes {
    /// `None`: none was in force.
    fn of(view: AnomalyView<'_>, span: (Timestamp, Timestamp)) -> Option<(UserId, Self)> {
        let stretches = view.thresholds_between(span);
        let in_force = || stretches.iter().flat_map(|stretch| &stretch.in_force);
        let thresholds = in_force().map(|of| (of.threshold, of.role)).collect::<BTreeSet<_>>().len();
        let scope = || in_force().map(|of| of.threshold.scope);
        let longest_ms = scope().map(|scope| scope.period.millis()).max()?;
        let variants = scope().map(|scope| scope.variant).collect();
        Some((view.about()?, Self { thresholds, variants, longest_ms, stretches }))
    }

    fn counts(&self, variant: Option<ServiceReferenceVariant>) -> bool {
        self.variants.contains(&None) || self.variants.contains(&variant)
    }
}

/// The communications that thresholds count, from the longest period before the span on. Memory: eight bytes for each.
async fn volumes(
    args: &AnomalyCheckArgs,
    (lake, who): (&Lake, &Access),
    scopes: &BTreeMap<UserId, Scopes>,
    (from, to): (Timestamp, Timestamp),
) -> Result<BTreeMap<UserId, Volumes>, Failure> {
    let mut volumes: BTreeMap<UserId, Volumes> = BTreeMap::new();
    // Without a threshold nothing is read.
    let Some(longest_ms) = scopes.values().map(|scopes| scopes.longest_ms).max() else { return Ok(volumes) };
    let who = who.narrowed_to(&scopes.keys().copied().collect());
    let query = ScanQuery {
        from: Some(from.plus_millis(-longest_ms)),
        to: Some(to.plus_millis(-1)),
        ..ScanQuery::all(View::Audit)
    };
    for part in lake.snapshot().scan(&who, query, args.parts).await? {
        let mut rows = part.rows();
        while let Some(found) = rows.next().await? {
            for row in found {
                let variant = row.fragment.variant.value().copied();
                let user = row.fragment.key.user;
                let is_sent = matches!(row.fragment.key.subject, Subject::Leg(_));
                if is_sent && scopes.get(&user).is_some_and(|scopes| scopes.counts(variant)) {
                    volumes.entry(user).or_default().add(variant, row.placement);
                }
            }
        }
    }
    Ok(volumes)
}

fn checked(
    scopes: &BTreeMap<UserId, Scopes>,
    volumes: &BTreeMap<UserId, Volumes>,
    (from, to): (Timestamp, Timestamp),
) -> Checked {
    let none = Volumes::default();
    let of_user = |(user, scopes): (&UserId, &Scopes)| {
        let found = flagged(&scopes.stretches, volumes.get(user).unwrap_or(&none));
        found.iter().map(|found| Line::of(*user, found)).collect::<Vec<_>>()
    };
    Checked {
        from: from.to_string(),
        to: to.to_string(),
        thresholds: scopes.values().map(|scopes| scopes.thresholds).sum(),
        communications: volumes.values().map(Volumes::len).sum(),
        flagged: scopes.iter().flat_map(of_user).collect(),
    }
}

fn write(checked: &Checked, format: ListFormat) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if let ListFormat::Json = format {
        return output::write_json(&mut out, checked);
    }
    let mut grid = table_with(&[
        "User ID",
        "Threshold",
        "User Role",
        "Variant",
        "Period (s)",
        "Communications",
        "Most",
        "Beyond",
        "First",
        "Last",
    ]);
    for line in &checked.flagged {
        grid.add_row([
            line.user_id.clone(),
            line.kind.to_owned(),
            line.user_role.clone().unwrap_or_default(),
            line.service_reference_variant.clone().unwrap_or_else(|| "all".to_owned()),
            line.period_seconds.to_string(),
            line.threshold.to_string(),
            line.most.to_string(),
            line.communications_beyond.to_string(),
            line.first_at.clone(),
            line.last_at.clone(),
        ]);
    }
    if let ListFormat::Csv = format {
        return output::write(&mut out, &grid.csv()?);
    }
    let Checked { from, to, thresholds, communications, flagged } = checked;
    let summary = format!(
        "{} of {} would have been exceeded by {}, from {from} to {to}",
        flagged.len(),
        count(*thresholds as u64, "threshold"),
        count(*communications as u64, "communication"),
    );
    let text = if flagged.is_empty() { format!("{summary}\n") } else { format!("{grid}\n{summary}\n") };
    output::write(&mut out, text.as_bytes())
}

#[cfg(test)]
mod tests;
