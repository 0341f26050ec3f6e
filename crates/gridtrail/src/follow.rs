//! `gridtrail ingest --kafka`: topics into a lake, until it is asked to stop.

use crate::args::{Format, IngestArgs, TopicArgs};
use crate::exit::Failure;
use crate::freshness::levels_of;
use crate::housekeeping::{Housekeeping, keep_house, maintain};
use crate::kafka_properties::kafka_properties;
use crate::metrics::{self, Metrics};
use crate::output::{self, count};
use crate::progress;
use crate::running::{asked_to_stop, end, wait_for_detached};
use crate::watching::keep_fresh;
use gridtrail_freshness::Watch;
use gridtrail_ingest::{Followed, Observer, Outcome, TopicSettings, follow_topics};
use gridtrail_kafka::KafkaSettings;
use gridtrail_lake::Lake;
use indicatif::ProgressBar;
use serde::Serialize;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::task::AbortOnDropHandle;

/// How often metrics are brought up to date.
const WATCH_EVERY: Duration = Duration::from_secs(1);

pub(crate) async fn run(lake: Lake, args: &IngestArgs, format: Format) -> Result<(), Failure> {
    let topics = &args.topics;
    let mut settings = TopicSettings::of(kafka_settings(topics)?);
    settings.batch_rows = args.batch_rows.unwrap_or(settings.batch_rows);
    settings.batch_age = Duration::from_millis(topics.commit_every);
    if topics.once {
        settings.once = Some(Duration::from_secs(topics.once_patience.seconds().into()));
        settings.heartbeat = settings.heartbeat.min(Duration::from_secs(1));
    }
    let levels = levels_of(&topics.levels)?;
    let metrics = metrics::address(&topics.metrics)?.map(Metrics::show).transpose()?;
    let watching = metrics.map(|metrics| {
        let watch = Arc::new(Watch::new(lake.clone(), levels));
        AbortOnDropHandle::new(tokio::spawn(keep_fresh(lake.clone(), watch, WATCH_EVERY, Some(metrics))))
    });
    let began = Instant::now();
    let asked = asked_to_stop()?;
    let how = Housekeeping {
        every: Duration::from_secs(topics.maintain_every.seconds().into()),
        compaction: topics.compaction.settings(),
    };
    let maintaining =
        (!topics.no_maintenance).then(|| AbortOnDropHandle::new(tokio::spawn(maintain(lake.clone(), how))));
    tracing::info!(topics = topics.topics.join(","), lake = args.lake, "following");
    let told = Arc::new(CommitBar(topics.once.then(|| progress::counting(None, "records"))));
    let followed = follow_topics(&lake, settings, Arc::<CommitBar>::clone(&told), asked).await;
    told.finish();
    let keeps_house = maintaining.is_some();
    for task in maintaining.into_iter().chain(watching) {
        end(task).await;
    }
    wait_for_detached(&lake).await;
    let followed = followed?;
    if keeps_house {
        keep_house(&lake).await?;
    }
    lake.refresh().await?;
    let report = Report::of(&lake, followed, began.elapsed());
    let mut out = io::stdout().lock();
    match format {
        Format::Table => output::write(&mut out, format!("{}\n", report.line()).as_bytes()),
        Format::Json => output::write_json(&mut out, &report),
    }
}

fn kafka_settings(args: &TopicArgs) -> Result<KafkaSettings, Failure> {
    Ok(KafkaSettings {
        bootstrap: args.kafka.clone().unwrap_or_default(),
        group: args.group.clone(),
        topics: args.topics.clone(),
        properties: kafka_properties(args.kafka_config.as_deref(), &args.kafka_settings)?,
    })
}

/// Counts on a terminal what was committed, where that comes to an end.
struct CommitBar(Option<ProgressBar>);

impl CommitBar {
    fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

impl Observer for CommitBar {
    fn committed(&self, Outcome { stored, parked, dead_lettered }: Outcome) {
        if let Some(bar) = &self.0 {
            bar.inc(stored + parked + dead_lettered);
        }
    }
}

/// What following topics came to. The fields are an interface: programs read them as JSON.
#[derive(Debug, Clone, Serialize)]
struct Report {
    /// Records read.
    records: u64,
    /// Records that went into trails.
    stored: u64,
    /// Records that waited for their request when they were read.
    parked: u64,
    /// Records that could not be read.
    dead_lettered: u64,
    /// Commits made.
    commits: u64,
    /// How long it took.
    seconds: f64,
    /// Rows that wait for their request now.
    waiting: u64,
    /// Everything that the topics held at this time is in the lake.
    complete_up_to: Option<String>,
}

impl Report {
    fn of(lake: &Lake, followed: Followed, took: Duration) -> Self {
        let Outcome { stored, parked, dead_lettered } = followed.outcome;
        Self {
            records: stored + parked + dead_lettered,
            stored,
            parked,
            dead_lettered,
            commits: followed.commits,
            seconds: took.as_secs_f64(),
            waiting: lake.counts().parked,
            complete_up_to: lake.snapshot().complete_up_to().map(|at| at.to_string()),
        }
    }

    fn line(&self) -> String {
        format!(
            "{} in {:.1} s: {} stored, {} parked, {}; {}; {} waiting for their request; {}",
            count(self.records, "record"),
            self.seconds,
            self.stored,
            self.parked,
            count(self.dead_lettered, "dead letter"),
            count(self.commits, "commit"),
            self.waiting,
            match &self.complete_up_to {
                Some(at) => format!("complete up to {at}"),
                None => "not complete up to any time yet".to_owned(),
            }
        )
    }
}
