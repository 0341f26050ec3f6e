//! A schedule: which reports are made for whom, when, and where their files go.

use crate::destination::Destination;
use crate::limits::{CATCH_UP_MAX, JOBS_MAX, OPEN_MAX, RETRY_AFTER_MAX, SPAN_MAX, TIME_MAX, USER_IDS_MAX};
use crate::timetable::Timetable;
use chrono_tz::Tz;
use gridtrail_access::{Component, Declared, JobTypeRole, Party, RoleMatrix};
use gridtrail_model::{Timestamp, UserId};
use gridtrail_reports::{Arguments, Catalogue, OutputFormat, Report};
use gridtrail_runs::Location;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// What is wrong with a schedule: of which job, at which of its fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct ScheduleError {
    /// Where, such as `jobs.monthly.cron` or `line 7`.
    pub place: String,
    /// What is wrong there, and what to do.
    pub fault: String,
}

/// Reports that are made by a timetable.
#[derive(Debug, Clone)]
pub struct Schedule {
    pub(crate) jobs: Vec<Arc<Job>>,
}

/// A report that is made again and again, for some Users of a Party.
#[derive(Debug)]
pub struct Job {
    pub(crate) name: String,
    pub(crate) report: Report,
    parameters: BTreeMap<String, String>,
    pub(crate) users: Vec<Declared>,
    cron: String,
    timetable: Timetable,
    from: Timestamp,
    pub(crate) formats: Vec<OutputFormat>,
    to: String,
    pub(crate) destination: Destination,
    pub(crate) wait_max: Duration,
    pub(crate) catch_up: u32,
    pub(crate) time_max: Duration,
    pub(crate) retry_after: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScheduleFile {
    jobs: Vec<JobTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JobTable {
    name: String,
    report: String,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    party: String,
    user_ids: Vec<String>,
    roles: Vec<String>,
    cron: String,
    #[serde(default = "london")]
    time_zone: String,
    from: String,
    formats: Vec<String>,
    to: String,
    #[serde(default = "a_day")]
    wait_max: String,
    #[serde(default = "a_dozen")]
    catch_up: u32,
    #[serde(default = "a_quarter_of_an_hour")]
    time_max: String,
    #[serde(default = "a_minute")]
    retry_after: String,
}

fn london() -> String {
    "Europe/London".to_owned()
}

fn a_day() -> String {
    "24h".to_owned()
}

const fn a_dozen() -> u32 {
    12
}

fn a_quarter_of_an_hour() -> String {
    "15m".to_owned()
}

fn a_minute() -> String {
    "1m".to_owned()
}

/// What a schedule is read with.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// The reports that there are.
    pub reports: &'a Catalogue,
    /// What Job Type Roles are called, and what each may use.
    pub roles: &'a RoleMatrix,
    /// Settings of object stores, such as `aws_region`.
    pub store_options: &'a HashMap<String, String>,
}

impl Schedule {
    /// Reads a schedule, and checks all that can be without a lake.
    ///
    /// Errors: what is wrong, and where.
    pub fn parse(text: &str, known: Known<'_>) -> Result<Self, ScheduleError> {
        let file: ScheduleFile = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            ScheduleError { place: format!("line {line}"), fault: error.message().to_owned() }
        })?;
        let fault = |fault: String| ScheduleError { place: "jobs".to_owned(), fault };
        if !(1..=JOBS_MAX).contains(&file.jobs.len()) {
            return Err(fault(format!("a schedule has 1 to {JOBS_MAX} jobs; found {}", file.jobs.len())));
        }
        let mut names = BTreeSet::new();
        if let Some(twice) = file.jobs.iter().find(|job| !names.insert(&job.name)) {
            return Err(fault(format!(
                "two are called {:?}; what was made is told apart by the name",
                twice.name
            )));
        }
        let jobs = file.jobs.into_iter().map(|table| job_of(table, known).map(Arc::new));
        let jobs: Vec<Arc<Job>> = jobs.collect::<Result<_, _>>()?;
        let open = jobs.iter().map(|job| job.users.len().saturating_mul(job.catch_up as usize));
        let open = open.fold(0, usize::saturating_add);
        if open > OPEN_MAX {
            return Err(fault(format!(
                "all User IDs times `catch_up` come to {open} reports, of at most {OPEN_MAX}; catch up with fewer periods, or have several schedules"
            )));
        }
        Ok(Self { jobs })
    }

    /// Its jobs, in the order of the file.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter().map(AsRef::as_ref)
    }
}

/// Where faults of a job are.
struct Place<'a>(&'a str);

impl Place<'_> {
    fn fault(&self, field: &str, fault: impl Into<String>) -> ScheduleError {
        ScheduleError { place: format!("jobs.{}.{field}", self.0), fault: fault.into() }
    }

    fn span(
        &self,
        field: &str,
        text: &str,
        (least, most): (u64, Duration),
    ) -> Result<Duration, ScheduleError> {
        let found = seconds_of(text).filter(|seconds| (least..=most.as_secs()).contains(seconds));
        let refuse = || {
            let most = most.as_secs();
            self.fault(field, format!("a number and a unit, such as 30s, 15m, 12h or 7d, from {least}s to {most}s; found {text:?}"))
        };
        found.map(Duration::from_secs).ok_or_else(refuse)
    }
}

fn seconds_of(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

fn is_name(name: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=64).contains(&name.len()) && name.chars().all(is_of_name) && !name.starts_with('-')
}

fn job_of(table: JobTable, known: Known<'_>) -> Result<Job, ScheduleError> {
    let place = Place(&table.name);
    if !is_name(&table.name) {
        let rule = "a name has 1 to 64 small letters, digits and hyphens, and begins with no hyphen";
        return Err(place.fault("name", rule));
    }
    let Some(report) = known.reports.named(&table.report) else {
        let names: Vec<_> = known.reports.iter().map(|report| report.name.as_str()).collect();
        return Err(place.fault(
            "report",
            format!("there is no report {:?}; there are {}", table.report, names.join(", ")),
        ));
    };
    let zone: Tz = table.time_zone.parse().map_err(|_| {
        place.fault("time_zone", format!("{:?} is no time zone such as Europe/London", table.time_zone))
    })?;
    let timetable = Timetable::parse(&table.cron, zone).map_err(|error| {
        place.fault(
            "cron",
            format!(
                "{error}; five fields are minute, hour, day, month and day of the week, such as \"0 6 1 * *\""
            ),
        )
    })?;
    let from = timetable.start_of(&table.from).ok_or_else(|| {
        place.fault(
            "from",
            format!("the day from which on it is due, such as 2026-04-01; found {:?}", table.from),
        )
    })?;
    let Some(first) = timetable.from(from).next() else {
        return Err(place.fault("cron", "it is never due"));
    };
    let job = Job {
        report: report.clone(),
        users: users_of(&place, &table, known.roles)?,
        formats: formats_of(&place, &table.formats)?,
        destination: destination_of(&place, &table.to, known.store_options)?,
        wait_max: place.span("wait_max", &table.wait_max, (0, SPAN_MAX))?,
        time_max: place.span("time_max", &table.time_max, (1, TIME_MAX))?,
        retry_after: place.span("retry_after", &table.retry_after, (1, RETRY_AFTER_MAX))?,
        catch_up: table.catch_up,
        parameters: table.parameters,
        cron: table.cron.clone(),
        to: table.to.clone(),
        name: table.name.clone(),
        timetable,
        from,
    };
    if !(1..=CATCH_UP_MAX).contains(&job.catch_up) {
        return Err(place.fault("catch_up", format!("1 to {CATCH_UP_MAX} periods; found {}", job.catch_up)));
    }
    job.arguments(first).map_err(|error| place.fault("parameters", error.to_string()))?;
    Ok(job)
}

/// The Access that is declared for each User ID.
fn users_of(
    place: &Place<'_>,
    table: &JobTable,
    matrix: &RoleMatrix,
) -> Result<Vec<Declared>, ScheduleError> {
    let party: Party = table
        .party
        .parse()
        .map_err(|error: gridtrail_model::ParseError| place.fault("party", error.to_string()))?;
    let role = |name: &String| {
        matrix.role(name).ok_or_else(|| place.fault("roles", format!("there is no Job Type Role {name:?}")))
    };
    let roles: BTreeSet<JobTypeRole> = table.roles.iter().map(role).collect::<Result<_, _>>()?;
    if !roles.iter().any(|role| matrix.open_to(*role).contains(Component::Reporting)) {
        return Err(place.fault("roles", format!("name one that may use {}", Component::Reporting)));
    }
    let parse =
        |id: &String| id.parse::<UserId>().map_err(|error| place.fault("user_ids", error.to_string()));
    let user_ids: Vec<UserId> = table.user_ids.iter().map(parse).collect::<Result<_, _>>()?;
    let different: BTreeSet<&UserId> = user_ids.iter().collect();
    if !(1..=USER_IDS_MAX).contains(&user_ids.len()) || different.len() < user_ids.len() {
        return Err(place.fault("user_ids", format!("1 to {USER_IDS_MAX} User IDs, each once")));
    }
    let declared = |user_id: UserId| {
        let name = format!("report job {}", table.name);
        Declared::new(&name, (party.clone(), user_id), (roles.clone(), matrix))
            .map_err(|error| place.fault("name", error.to_string()))
    };
    user_ids.into_iter().map(declared).collect()
}

fn formats_of(place: &Place<'_>, names: &[String]) -> Result<Vec<OutputFormat>, ScheduleError> {
    let mut formats = Vec::new();
    for name in names {
        let known: Vec<_> = OutputFormat::ALL.iter().map(|format| format.name()).collect();
        let found =
            OutputFormat::ALL.iter().find(|format| format.name() == name && !formats.contains(*format));
        let refuse =
            || place.fault("formats", format!("some of {}, each once; found {name:?}", known.join(", ")));
        formats.push(*found.ok_or_else(refuse)?);
    }
    if formats.is_empty() { Err(place.fault("formats", "name at least one")) } else { Ok(formats) }
}

fn destination_of(
    place: &Place<'_>,
    to: &str,
    options: &HashMap<String, String>,
) -> Result<Destination, ScheduleError> {
    let location = Location::parse(to, options).map_err(|error| place.fault("to", error.to_string()))?;
    Destination::at(&location).map_err(|error| place.fault("to", error.to_string()))
}

impl Job {
    /// Its name, by which what was made is known.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The report that it makes.
    pub const fn report(&self) -> &Report {
        &self.report
    }

    /// Whose reports it makes.
    pub fn user_ids(&self) -> impl Iterator<Item = UserId> {
        self.users.iter().map(Declared::user_id)
    }

    /// The Party that they are declared to be of.
    pub fn party(&self) -> Option<&Party> {
        self.users.first().map(Declared::party)
    }

    /// Its cron expression.
    pub fn cron(&self) -> &str {
        &self.cron
    }

    /// The zone by whose clocks that is read.
    pub fn time_zone(&self) -> String {
        self.timetable.zone().to_string()
    }

    /// Where its files go.
    pub fn to(&self) -> &str {
        &self.to
    }

    /// When it is due from a time on, that time included, and never before its first day.
    pub fn due_from(&self, at: Timestamp) -> impl Iterator<Item = Timestamp> {
        self.timetable.from(at.max(self.from))
    }

    /// A time as the clocks of its zone show it.
    pub fn shown(&self, at: Timestamp) -> String {
        self.timetable.shown(at)
    }

    /// What is asked of the report that is due at a time: "last month" is the one before that time, whenever the report is made.
    ///
    /// Errors: what is asked wrongly.
    pub fn arguments(&self, due: Timestamp) -> Result<Arguments, gridtrail_reports::ArgumentError> {
        let given = self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        self.report.arguments(given, due)
    }

    /// Up to when a lake must be complete for the report that is due at a time: to the end of the days and months that are asked about, as far as
    /// that lies before.
    pub fn needs_complete_up_to(&self, due: Timestamp) -> Timestamp {
        let until = self.arguments(due).ok().and_then(|arguments| arguments.until());
        until.map_or(due, |until| until.min(due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = r#"
[[jobs]]
name = "monthly"
report = "monthly-transactions"
party = "Avon"
user_ids = ["90-B3-D5-1F-30-02-00-00"]
roles = ["role-01"]
cron = "0 6 1 * *"
from = "2026-03-01"
formats = ["csv", "html"]
to = "memory:///reports"
"#;

    fn parse(text: &str) -> Result<Schedule, ScheduleError> {
        let (reports, roles) = (Catalogue::built_in().unwrap(), RoleMatrix::built_in().unwrap());
        Schedule::parse(text, Known { reports: &reports, roles: &roles, store_options: &HashMap::new() })
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The month is that of UK clocks before the time at which it is due, and the lake must be complete to its end.
    #[test]
    fn a_month_is_the_one_before_it_is_due_by_uk_time() {
        let schedule = parse(JOB).unwrap();
        let job = schedule.jobs().next().unwrap();
        let due: Vec<Timestamp> = job.due_from(at("2020-01-01T00:00:00Z")).take(3).collect();
        assert_eq!(due, ["2026-03-01T06:00:00Z", "2026-04-01T05:00:00Z", "2026-05-01T05:00:00Z"].map(at));
        let asked: Vec<_> = due.iter().map(|due| job.arguments(*due).unwrap().days_and_months()).collect();
        assert_eq!(asked, [["2026-02"], ["2026-03"], ["2026-04"]]);
        let needs: Vec<_> = due.iter().map(|due| job.needs_complete_up_to(*due)).collect();
        assert_eq!(needs, ["2026-03-01T00:00:00Z", "2026-03-31T23:00:00Z", "2026-04-30T23:00:00Z"].map(at));
        // A period that is not over is needed as far as it has come.
        let schedule = parse(&format!("{JOB}\n[jobs.parameters]\nmonth = \"this month\"")).unwrap();
        let job = schedule.jobs().next().unwrap();
        assert_eq!(job.needs_complete_up_to(due[0]), due[0]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (right, wrong, place) in [
            ("\"monthly\"", "\"Monthly report\"", "jobs.Monthly report.name"),
            ("monthly-transactions", "yearly-transactions", "jobs.monthly.report"),
            ("\"Avon\"", "\"\"", "jobs.monthly.party"),
            ("[\"90-B3-D5-1F-30-02-00-00\"]", "[]", "jobs.monthly.user_ids"),
            ("-00\"]", "-0\"]", "jobs.monthly.user_ids"),
            ("\"role-01\"", "\"role-99\"", "jobs.monthly.roles"),
            ("[\"role-01\"]", "[]", "jobs.monthly.roles"),
            ("0 6 1 * *", "0 6 1 *", "jobs.monthly.cron"),
            ("0 6 1 * *", "0 6 30 2 *", "jobs.monthly.cron"),
            ("2026-03-01", "2026-3-1", "jobs.monthly.from"),
            ("\"csv\", ", "\"csv\", \"csv\", ", "jobs.monthly.formats"),
            ("\"csv\", \"html\"", "", "jobs.monthly.formats"),
            ("\"html\"", "\"pdf\"", "jobs.monthly.formats"),
            ("memory:///", "gopher:///", "jobs.monthly.to"),
            ("formats", "catch_up = 0\nformats", "jobs.monthly.catch_up"),
            ("formats", "time_max = \"0s\"\nformats", "jobs.monthly.time_max"),
            ("formats", "wait_max = \"40d\"\nformats", "jobs.monthly.wait_max"),
            ("formats", "time_zone = \"Mars\"\nformats", "jobs.monthly.time_zone"),
            ("formats", "parameters = { week = \"1\" }\nformats", "jobs.monthly.parameters"),
            ("formats", "colour = \"red\"\nformats", "line "),
        ] {
            let error = parse(&JOB.replacen(right, wrong, 1)).unwrap_err();
            let is_there =
                if place == "line " { error.place.starts_with(place) } else { error.place == place };
            assert!(is_there, "{wrong}: {error}");
        }
        assert_eq!(parse(&JOB.repeat(2)).unwrap_err().place, "jobs");
        assert_eq!(parse("jobs = []").unwrap_err().place, "jobs");
        let user_ids: Vec<_> = (0..101).map(|n| format!("\"90-B3-D5-1F-30-02-00-{n:02X}\"")).collect();
        let many = JOB.replace("\"90-B3-D5-1F-30-02-00-00\"", &user_ids.join(","));
        let error = parse(&many.replace("formats", "catch_up = 1000\nformats")).unwrap_err();
        assert_eq!((error.place.as_str(), error.fault.contains("101000")), ("jobs", true), "{error}");
    }
}
