//! Arguments of `gridtrail reconcile`.

use super::value::setting;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `gridtrail reconcile`.
#[derive(Debug, Args)]
#[command(after_help = "\
Proves from the evidence of the commits that every position of every source up to where the lake is ended in exactly one \
place, and that nothing of the evidence was changed. It changes nothing, and the lake may be written to meanwhile. \
When anything does not add up, it says what, and ends with exit code 8.

Examples:
  gridtrail reconcile --lake data/lake
  gridtrail reconcile --lake s3://audit/lake --against-kafka broker-1:9092 \\
      --html reconciliation.html")]
pub struct ReconcileArgs {
    /// The lake: a folder, or a URL such as s3://bucket/path.
    #[arg(long, env = "GRIDTRAIL_LAKE", value_name = "URL|PATH", default_value = "data/lake")]
    pub lake: String,
    /// Also read the topics again from these brokers, and compare the content of every range.
    #[arg(long, value_name = "HOST:PORT")]
    pub against_kafka: Option<String>,
    /// A file of further client settings, one `name=value` a line; the names are librdkafka's.
    #[arg(long, value_name = "FILE", requires = "against_kafka")]
    pub kafka_config: Option<PathBuf>,
    /// A further client setting; may be repeated. Secrets belong in a file.
    #[arg(long = "kafka-set", value_name = "NAME=VALUE", value_parser = setting, requires = "against_kafka")]
    pub kafka_settings: Vec<(String, String)>,
    /// Also write a page for people who have no terminal.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}
