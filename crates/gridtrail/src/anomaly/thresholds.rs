//! `gridtrail anomaly thresholds`: which are in force, by which files, and which were exceeded.

use super::{narrowed, note_named};
use crate::admitted::Call;
use crate::args::{AnomalyThresholdsArgs, ListFormat, ThresholdList};
use crate::exit::Failure;
use crate::output::{self, count, table_with};
use gridtrail_access::Access;
use gridtrail_anomaly::{AnomalyView, Exceeded, FileState, FileStatus, InForce, Threshold};
use gridtrail_lake::Lake;
use gridtrail_model::{Timestamp, UserId};
use serde::Serialize;
use std::io;

/// A line of a list.
trait Line: Serialize + Sized {
    /// What the columns of the list are called.
    const COLUMNS: &[&str];
    /// What lines of it are.
    const WHAT: &str;

    /// The list of a User, as it was at a time.
    fn of_user(user: UserId, view: &AnomalyView<'_>, at: Timestamp) -> Vec<Self>;

    fn cells(self) -> Vec<String>;
}

/// What is told.
#[derive(Debug, Serialize)]
struct Told<L> {
    /// As it was at this time.
    at: String,
    /// Oldest first of each User ID, but thresholds in force, which are in their own order.
    lines: Vec<L>,
}

/// A threshold, as each list has it.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Counted {
    kind: &'static str,
    /// `None`: all.
    service_reference_variant: Option<String>,
    period_seconds: u32,
    threshold: u64,
}

impl Counted {
    fn of(threshold: &Threshold) -> Self {
        Self {
            kind: threshold.kind.as_str(),
            service_reference_variant: threshold.scope.variant.map(|variant| variant.to_string()),
            period_seconds: threshold.scope.period.seconds(),
            threshold: threshold.communications,
        }
    }

    fn cells(self) -> [String; 4] {
        [
            self.kind.to_owned(),
            self.service_reference_variant.unwrap_or_else(|| "all".to_owned()),
            self.period_seconds.to_string(),
            self.threshold.to_string(),
        ]
    }
}

/// A threshold in force.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct InForceLine {
    user_id: String,
    #[serde(flatten)]
    counted: Counted,
    since: String,
    /// Of a threshold that the DCC set, none.
    user_role: Option<String>,
    /// That of the Thresholds File.
    smsr: Option<String>,
}

impl InForceLine {
    fn of(user: UserId, of: &InForce) -> Self {
        Self {
            user_id: user.to_string(),
            counted: Counted::of(&of.threshold),
            since: of.since.to_string(),
            user_role: of.role.map(|role| role.to_string()),
            smsr: of.smsr.as_ref().map(ToString::to_string),
        }
    }
}

impl Line for InForceLine {
    const COLUMNS: &[&str] =
        &["User ID", "Threshold", "Variant", "Period (s)", "Communications", "Since", "User Role", "SMSR"];
    const WHAT: &str = "threshold";

    fn of_user(user: UserId, view: &AnomalyView<'_>, at: Timestamp) -> Vec<Self> {
        view.thresholds_at(at).iter().map(|of| Self::of(user, of)).collect()
    }

    fn cells(self) -> Vec<String> {
        let last = [self.since, self.user_role.unwrap_or_default(), self.smsr.unwrap_or_default()];
        [self.user_id].into_iter().chain(self.counted.cells()).chain(last).collect()
    }
}

/// A Thresholds File.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct FileLine {
    user_id: String,
    user_role: String,
    smsr: String,
    fast_track: bool,
    thresholds: usize,
    received_at: String,
    /// By when the DCC has to apply or reject it.
    due_at: String,
    /// `received`, `applied` or `rejected`.
    state: &'static str,
    decided_at: Option<String>,
    reason: Option<String>,
    /// Whether it took longer, or has by now.
    late: bool,
}

impl FileLine {
    fn of(user: UserId, of: &FileStatus, at: Timestamp) -> Self {
        let (state, decided_at, reason) = match &of.state {
            FileState::Received => ("received", None, None),
            FileState::Applied(at) => ("applied", Some(at.to_string()), None),
            FileState::Rejected(at, reason) => ("rejected", Some(at.to_string()), Some(reason.to_string())),
        };
        Self {
            user_id: user.to_string(),
            user_role: of.file.name.role.to_string(),
            smsr: of.file.name.smsr.to_string(),
            fast_track: of.file.fast_track,
            thresholds: of.file.thresholds().len(),
            received_at: of.received_at.to_string(),
            due_at: of.due_at.to_string(),
            state,
            decided_at,
            reason,
            late: of.is_late(at),
        }
    }
}

impl Line for FileLine {
    const COLUMNS: &[&str] = &[
        "User ID",
        "User Role",
        "SMSR",
        "Fast-Track",
        "Thresholds",
        "Received",
        "Due",
        "State",
        "Decided",
        "Reason",
        "Late",
    ];
    const WHAT: &str = "Thresholds File";

    fn of_user(user: UserId, view: &AnomalyView<'_>, at: Timestamp) -> Vec<Self> {
        view.files(at).iter().map(|of| Self::of(user, of, at)).collect()
    }

    fn cells(self) -> Vec<String> {
        vec![
            self.user_id,
            self.user_role,
            self.smsr,
            self.fast_track.to_string(),
            self.thresholds.to_string(),
            self.received_at,
            self.due_at,
            self.state.to_owned(),
            self.decided_at.unwrap_or_default(),
            self.reason.unwrap_or_default(),
            self.late.to_string(),
        ]
    }
}

/// A threshold that was exceeded.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct ExceededLine {
    user_id: String,
    at: String,
    #[serde(flatten)]
    counted: Counted,
    observed: u64,
    incident_reference: String,
    smsr: Option<String>,
    /// When the e-mail went to the registered contact address.
    emailed_at: Option<String>,
}

impl ExceededLine {
    fn of(user: UserId, (at, of): (Timestamp, &Exceeded)) -> Self {
        Self {
            user_id: user.to_string(),
            at: at.to_string(),
            counted: Counted::of(&of.threshold),
            observed: of.observed,
            incident_reference: of.incident.to_string(),
            smsr: of.smsr.as_ref().map(ToString::to_string),
            emailed_at: of.emailed_at.map(|at| at.to_string()),
        }
    }
}

impl Line for ExceededLine {
    const COLUMNS: &[&str] = &[
        "User ID",
        "Exceeded",
        "Threshold",
        "Variant",
        "Period (s)",
        "Communications",
        "Observed",
        "Incident",
        "SMSR",
        "E-mail",
    ];
    const WHAT: &str = "exceeded threshold";

    fn of_user(user: UserId, view: &AnomalyView<'_>, at: Timestamp) -> Vec<Self> {
        view.exceeded(at).into_iter().map(|of| Self::of(user, of)).collect()
    }

    fn cells(self) -> Vec<String> {
        let last = [
            self.observed.to_string(),
            self.incident_reference,
            self.smsr.unwrap_or_default(),
            self.emailed_at.unwrap_or_default(),
        ];
        [self.user_id, self.at].into_iter().chain(self.counted.cells()).chain(last).collect()
    }
}

pub(super) async fn run(
    args: &AnomalyThresholdsArgs,
    (lake, who): (&Lake, &Access),
    (call, format): (&mut Call, ListFormat),
) -> Result<(), Failure> {
    note_named(&args.user_ids, call);
    let who = narrowed(who, &args.user_ids.iter().copied().collect())?;
    let at = args.at.unwrap_or_else(|| lake.clock().now());
    call.entry.to = Some(at);
    let (fragments, _) = lake.snapshot().thresholds(&who).await?;
    let views = fragments.iter().filter_map(|of| Some((of.about()?, of.known())));
    let views: Vec<(UserId, AnomalyView<'_>)> = views.collect();
    let rows = match args.list {
        ThresholdList::InForce => write(lines::<InForceLine>(&views, at), at, format),
        ThresholdList::Files => write(lines::<FileLine>(&views, at), at, format),
        ThresholdList::Exceeded => write(lines::<ExceededLine>(&views, at), at, format),
    };
    call.entry.rows = Some(rows?);
    Ok(())
}

/// A list of all Users, each after the other.
fn lines<L: Line>(views: &[(UserId, AnomalyView<'_>)], at: Timestamp) -> Vec<L> {
    views.iter().flat_map(|(user, view)| L::of_user(*user, view, at)).collect()
}

/// Writes a list. Returns how many lines it has.
fn write<L: Line>(lines: Vec<L>, at: Timestamp, format: ListFormat) -> Result<u64, Failure> {
    let (mut out, rows) = (io::stdout().lock(), lines.len() as u64);
    if let ListFormat::Json = format {
        output::write_json(&mut out, &Told { at: at.to_string(), lines })?;
        return Ok(rows);
    }
    let mut grid = table_with(L::COLUMNS);
    for line in lines {
        grid.add_row(line.cells());
    }
    if let ListFormat::Csv = format {
        output::write(&mut out, &grid.csv()?)?;
        return Ok(rows);
    }
    let summary = format!("{}, at {at}", count(rows, L::WHAT));
    let text = if rows == 0 { format!("{summary}\n") } else { format!("{grid}\n{summary}\n") };
    output::write(&mut out, text.as_bytes())?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_access::{Bearer, DevKey, JobTypeRole, OrgId};
    use gridtrail_ingest::{Maker, ingest_made_anomaly};
    use gridtrail_lake::LakeSettings;
    use gridtrail_runtime::Clock;
    use gridtrail_synth::{Settings, World};
    use std::collections::BTreeSet;

    /// Every list, of a User of a generated region: the thresholds that its truth has in force, and what its events tell of files and Incidents.
    #[tokio::test]
    async fn a_user_reads_its_thresholds_files_and_incidents_and_no_other_users() {
        let world = World::seeded(5, Settings::for_events(30_000, 30)).unwrap();
        let now = world.settings().end();
        let lake = Lake::open(LakeSettings::at("memory:///thresholds"), Clock::manual(now)).await.unwrap();
        let maker = Maker { id: "region".to_owned(), name: "a region".to_owned() };
        ingest_made_anomaly(&lake, &maker, world.anomaly_events()).await.unwrap();
        let users: BTreeSet<UserId> =
            world.anomaly().flat_map(|story| story.thresholds).map(|of| of.user).collect();
        let mut seen = [0; 3];
        for user in users {
            let claims = Bearer {
                subject: "me".to_owned(),
                party: "region".parse().unwrap(),
                org_id: OrgId::All,
                user_ids: [user].into(),
                roles: JobTypeRole::new(1).into_iter().collect(),
                valid_from: now,
                expires_at: now.plus_millis(1_000),
            };
            let who = DevKey::generate().unwrap().access(&claims).unwrap();
            let (fragments, _) = lake.snapshot().thresholds(&who).await.unwrap();
            let views: Vec<_> = fragments.iter().map(|of| (of.about().unwrap(), of.known())).collect();
            let in_force = lines::<InForceLine>(&views, now);
            let files = lines::<FileLine>(&views, now);
            let exceeded = lines::<ExceededLine>(&views, now);
            let expected = world.anomaly().flat_map(|story| story.thresholds);
            let expected = expected
                .filter(|of| of.user == user && of.from <= now && of.until.is_none_or(|until| now < until));
            let expected: Vec<(Counted, String)> =
                expected.map(|of| (Counted::of(&of.threshold), of.from.to_string())).collect();
            let told: Vec<(&Counted, &String)> =
                in_force.iter().map(|line| (&line.counted, &line.since)).collect();
            assert_eq!(told.len(), expected.len(), "{user}");
            assert!(expected.iter().all(|(of, since)| told.contains(&(of, since))), "{told:?} {expected:?}");
            let of_user = |id: &String| *id == user.to_string();
            assert!(in_force.iter().map(|line| &line.user_id).all(of_user));
            assert!(files.iter().map(|line| &line.user_id).all(of_user));
            assert!(exceeded.iter().map(|line| &line.user_id).all(of_user));
            // Whatever a User set is of a file that was applied.
            for line in in_force.iter().filter(|line| line.smsr.is_some()) {
                let of = files.iter().find(|file| Some(&file.smsr) == line.smsr.as_ref()).unwrap();
                assert_eq!((of.state, Some(&of.user_role)), ("applied", line.user_role.as_ref()));
            }
            assert!(files.iter().all(|file| file.state != "rejected" || file.reason.is_some()));
            assert!(exceeded.iter().all(|line| line.observed > line.counted.threshold && !line.incident_reference.is_empty()));
            for (seen, here) in seen.iter_mut().zip([in_force.len(), files.len(), exceeded.len()]) {
                *seen += here;
            }
            for cells in files.into_iter().map(Line::cells) {
                assert_eq!(cells.len(), FileLine::COLUMNS.len());
            }
            for cells in in_force.into_iter().map(Line::cells) {
                assert_eq!(cells.len(), InForceLine::COLUMNS.len());
            }
            for cells in exceeded.into_iter().map(Line::cells) {
                assert_eq!(cells.len(), ExceededLine::COLUMNS.len());
            }
        }
        assert!(seen.iter().all(|seen| *seen > 0), "{seen:?}");
    }
}
