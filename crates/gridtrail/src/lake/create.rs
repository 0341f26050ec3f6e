//! `gridtrail lake create`: an empty lake, with so many buckets from the start.

use crate::args::{CreateArgs, Format};
use crate::exit::Failure;
use crate::opening::{open_existing, open_lake};
use crate::output;
use gridtrail_lake::{CompactionSettings, LakeError};
use serde::Serialize;
use std::io;

pub(crate) async fn run(args: &CreateArgs, format: Format) -> Result<(), Failure> {
    let address = &args.of.lake;
    match open_existing(address).await {
        Err(Failure::Lake(LakeError::NoLake { .. })) => {}
        Err(failure) => return Err(failure),
        Ok(_) => return Err(Failure::LakeExists { address: address.clone() }),
    }
    let mut maintenance = open_lake(address).await?.maintenance().await?;
    if let Some(buckets) = args.buckets {
        maintenance.rebucket(buckets, &CompactionSettings::default()).await?;
    }
    let buckets = maintenance.status().await?.buckets;
    let mut out = io::stdout().lock();
    match format {
        Format::Json => output::write_json(&mut out, &Answer { lake: address, buckets }),
        Format::Table => {
            let text = format!("{address}: an empty lake, {} a month\n", output::count(buckets, "bucket"));
            output::write(&mut out, text.as_bytes())
        }
    }
}

/// What was made. The fields are an interface.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    lake: &'a str,
    buckets: u32,
}
