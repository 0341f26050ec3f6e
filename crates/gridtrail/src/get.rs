//! `gridtrail get`: one row by its reference.

use crate::args::{GetArgs, ListFormat};
use crate::client::{Caller, View, token_of};
use crate::exit::Failure;
use crate::output::{self, proto3, trails};
use gridtrail_proto::query::v1::GetRequest;
use std::io;

pub(crate) async fn run(args: &GetArgs, format: ListFormat) -> Result<(), Failure> {
    let view = if args.meter_reads { View::MeterReads } else { View::Audit };
    let caller = Caller::connect(&args.server, &token_of(&args.credential)?).await?;
    let request = GetRequest { reference: args.reference.clone(), ..GetRequest::default() };
    let mut answer = caller.get(view, request).await?;
    if let Some(row) = &mut answer.row {
        caller.complete(view, row).await?;
    }
    let mut out = io::stdout().lock();
    let row = answer.row.as_slice();
    match format {
        ListFormat::Json => proto3::write_json(&mut out, &answer),
        ListFormat::Csv => proto3::write_csv(&mut out, row),
        ListFormat::Table => {
            let text = trails::details_of(row) + &trails::completeness("1 row", answer.complete_up_to) + "\n";
            output::write(&mut out, text.as_bytes())
        }
    }
}
