//! `gridtrail search`: asks a server and prints its answer.

use crate::args::{HubArgs, ListFormat, SearchArgs, SearchCommand};
use crate::client::{Caller, View, key_of, period_of, take_page, token_of};
use crate::exit::Failure;
use crate::output::{hubs, trails};
use crate::search_inventory;
use gridtrail_proto::query::v1::{ProfileResponse, RowView, SearchRequest, SearchResponse};
use std::io;

pub(crate) async fn run(command: &SearchCommand, format: ListFormat) -> Result<(), Failure> {
    let (view, args) = match command {
        SearchCommand::Audit(args) => (View::Audit, args),
        SearchCommand::MeterReads(args) => (View::MeterReads, args),
        SearchCommand::Hub(args) => return hub(args, format).await,
        SearchCommand::Inventory(args) => return search_inventory::run(args, format).await,
        SearchCommand::Device(args) => return search_inventory::run_device(args, format).await,
    };
    let caller = Caller::connect(&args.server, &token_of(&args.credential)?).await?;
    // The table shows no history.
    let histories = args.details || format != ListFormat::Table;
    let extent = Extent { all_pages: args.page.all, histories };
    let answer = fetch(&caller, view, request_of(args), extent).await?;
    let if_empty = match (answer.rows.is_empty(), format) {
        (true, ListFormat::Table) => Some(if_empty(view, caller.profile().await.ok())),
        _ => None,
    };
    let layout = trails::Layout { view, format, details: args.details };
    trails::write_answer(&mut io::stdout().lock(), &answer, layout, if_empty.as_deref())
}

async fn hub(args: &HubArgs, format: ListFormat) -> Result<(), Failure> {
    let caller = Caller::connect(&args.server, &token_of(&args.credential)?).await?;
    hubs::write_answer(&mut io::stdout().lock(), caller.hub(args.device).await?, format)
}

/// What an answer without rows may mean. It says nothing of any row: only what the caller may see, which they may know.
fn if_empty(view: View, profile: Option<ProfileResponse>) -> String {
    if view == View::MeterReads {
        return "there are no such meter-read transactions (4.8.1, 4.8.2, 4.8.3, 4.17), of any User"
            .to_owned();
    }
    let sees = match profile {
        None => "`gridtrail whoami` says whose rows it may see".to_owned(),
        Some(profile) if profile.user_ids.is_empty() => {
            "it may see no User ID's: none of those in its token is its Party's or granted to it".to_owned()
        }
        Some(profile) => format!("it may see User IDs {}", profile.user_ids.join(", ")),
    };
    format!("no such rows, or none that this session may see; {sees}")
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
) -> Result<SearchResponse, Failure> {
    let mut answer = SearchResponse::default();
    loop {
        let mut page = caller.search(view, &request).await?;
        if extent.histories {
            for row in &mut page.rows {
                caller.complete(view, row).await?;
            }
        }
        take_page(&mut answer, page);
        if !extent.all_pages || answer.next_page_token.is_empty() {
            return Ok(answer);
        }
        request.page_token.clone_from(&answer.next_page_token);
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
        // The printed table of the audit trail has more columns than that of the specification: mode, and the code of an alert.
        view: RowView::Full.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_answer_names_what_the_caller_may_see_and_nothing_else() {
        let may_see = |ids: &[&str]| ProfileResponse {
            user_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            ..ProfileResponse::default()
        };
        let said =
            if_empty(View::Audit, Some(may_see(&["90-B3-D5-1F-30-01-00-00", "90-B3-D5-1F-30-02-00-00"])));
        assert_eq!(
            said,
            "no such rows, or none that this session may see; it may see User IDs 90-B3-D5-1F-30-01-00-00, \
             90-B3-D5-1F-30-02-00-00"
        );
        assert!(if_empty(View::Audit, Some(may_see(&[]))).contains("no User ID's"));
        assert!(if_empty(View::Audit, None).contains("gridtrail whoami"));
        assert!(if_empty(View::MeterReads, Some(may_see(&["90"]))).contains("of any User"));
    }
}
