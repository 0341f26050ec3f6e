//! `gridtrail search`: asks a server and prints its answer.

use crate::args::{Format, SearchArgs, SearchCommand};
use crate::client::{Caller, View, key_of, period_of, take_page, token_of};
use crate::exit::Failure;
use crate::output::{self, SearchAnswer};
use gridtrail_proto::query::v1::{RowView, SearchRequest};
use std::io;

pub(crate) async fn run(command: &SearchCommand, format: Format) -> Result<(), Failure> {
    let (view, args) = match command {
        SearchCommand::Audit(args) => (View::Audit, args),
        SearchCommand::MeterReads(args) => (View::MeterReads, args),
    };
    let caller = Caller::connect(&args.server, &token_of(&args.credential)?).await?;
    let answer = fetch(&caller, view, request_of(args), args.page.all).await?;
    output::write_answer(&mut io::stdout().lock(), &answer, format, args.details)
}

/// One page, or every page from there on.
pub(crate) async fn fetch(
    caller: &Caller,
    view: View,
    mut request: SearchRequest,
    all: bool,
) -> Result<SearchAnswer, Failure> {
    let mut answer = SearchAnswer::default();
    loop {
        take_page(&mut answer, caller.search(view, &request).await?);
        match (&answer.next_page_token, all) {
            (Some(token), true) => request.page_token.clone_from(token),
            _ => return Ok(answer),
        }
    }
}

fn request_of(args: &SearchArgs) -> SearchRequest {
    let (from, to) = period_of(args.from, args.to);
    SearchRequest {
        key: key_of(&args.key),
        service_reference_variants: args.srv.iter().map(ToString::to_string).collect(),
        from,
        to,
        as_of: args.as_of.map(|as_of| as_of.to_string()).unwrap_or_default(),
        page_size: args.page.page_size,
        page_token: args.page.page_token.clone().unwrap_or_default(),
        // The printed table has more columns than that of the specification: mode, and the code of an alert.
        view: RowView::Full.into(),
    }
}
