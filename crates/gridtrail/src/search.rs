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
    // The table shows no history.
    let extent = Extent { all_pages: args.page.all, histories: args.details || format == Format::Json };
    let answer = fetch(&caller, view, request_of(args), extent).await?;
    output::write_answer(&mut io::stdout().lock(), &answer, format, args.details)
}

/// How much to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Every page from there on, not one.
    pub(crate) all_pages: bool,
    /// The whole of each history, also of one that is longer than a page.
    pub(crate) histories: bool,
}

/// One page, or every page from there on.
pub(crate) async fn fetch(
    caller: &Caller,
    view: View,
    mut request: SearchRequest,
    extent: Extent,
) -> Result<SearchAnswer, Failure> {
    let mut answer = SearchAnswer::default();
    loop {
        let mut page = caller.search(view, &request).await?;
        if extent.histories {
            for row in &mut page.rows {
                caller.complete(view, row).await?;
            }
        }
        take_page(&mut answer, page);
        match (&answer.next_page_token, extent.all_pages) {
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
