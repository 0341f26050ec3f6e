//! Freshness page by page: a lake may follow topics of thousands of partitions, and has a row a day and source.

use crate::limits::PAGE_BYTES_MAX;
use crate::row::field_bytes;
use crate::status::CallError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gridtrail_proto::query::v1::{FreshnessDay, FreshnessSource, GetFreshnessResponse};
use gridtrail_search::SearchError;
use prost::Message;

/// Where a page begins: at a source, at one of its partitions, or at a row of the daily table. It is no secret, and so not sealed: all
/// that it names is in the answer.
#[derive(Clone, PartialEq, Eq, Message)]
struct Next {
    #[prost(string, tag = "1")]
    cluster: String,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(int32, optional, tag = "3")]
    partition: Option<i32>,
    #[prost(string, optional, tag = "4")]
    day: Option<String>,
}

impl Next {
    fn is_source(&self, source: &FreshnessSource) -> bool {
        (&self.cluster, &self.name) == (&source.cluster, &source.name)
    }

    fn is_day(&self, day: &FreshnessDay) -> bool {
        (self.day.as_ref(), &self.cluster, &self.name) == (Some(&day.day), &day.cluster, &day.source)
    }
}

/// What of a whole answer there is room for, from where a token says.
///
/// Errors: `Invalid` on the field `page_token`.
pub(crate) fn page_of(
    mut whole: GetFreshnessResponse,
    token: &str,
) -> Result<GetFreshnessResponse, CallError> {
    if !token.is_empty() {
        let rule = "not a page token of this answer; begin again without one";
        begin_at(&mut whole, token).ok_or_else(|| SearchError::invalid("page_token", rule))?;
    }
    let next = end_where_full(&mut whole, PAGE_BYTES_MAX);
    whole.next_page_token = next.map(|next| URL_SAFE_NO_PAD.encode(next.encode_to_vec())).unwrap_or_default();
    Ok(whole)
}

/// Drops what the pages before have shown. `None`: the token names nothing that is there.
fn begin_at(whole: &mut GetFreshnessResponse, token: &str) -> Option<()> {
    let next = Next::decode(URL_SAFE_NO_PAD.decode(token).ok()?.as_slice()).ok()?;
    if next.day.is_some() {
        let at = whole.days.iter().position(|day| next.is_day(day))?;
        whole.sources.clear();
        whole.days.drain(..at);
        return Some(());
    }
    let at = whole.sources.iter().position(|source| next.is_source(source))?;
    whole.sources.drain(..at);
    if let (Some(first), Some(partition)) = (whole.sources.first_mut(), next.partition) {
        first.partitions.retain(|known| known.partition >= partition);
    }
    Some(())
}

/// Drops what there is no room for; where the next page begins.
fn end_where_full(whole: &mut GetFreshnessResponse, mut room: usize) -> Option<Next> {
    let mut take = |bytes: usize| {
        let rest = room.checked_sub(bytes);
        room = rest.unwrap_or_default();
        rest.is_some()
    };
    let mut next = None;
    let mut sources = Vec::new();
    for mut source in std::mem::take(&mut whole.sources) {
        let partitions = std::mem::take(&mut source.partitions);
        let at = |partition| Next {
            cluster: source.cluster.clone(),
            name: source.name.clone(),
            partition,
            day: None,
        };
        if !take(field_bytes(&source)) {
            next = Some(at(None));
            break;
        }
        let fitting = partitions.iter().take_while(|partition| take(field_bytes(*partition))).count();
        next = partitions.get(fitting).map(|partition| at(Some(partition.partition)));
        source.partitions = partitions.into_iter().take(fitting).collect();
        sources.push(source);
        if next.is_some() {
            break;
        }
    }
    whole.sources = sources;
    if next.is_some() {
        whole.days.clear();
        return next;
    }
    let fitting = whole.days.iter().take_while(|day| take(field_bytes(*day))).count();
    let next = whole.days.get(fitting).map(|day| Next {
        cluster: day.cluster.clone(),
        name: day.source.clone(),
        partition: None,
        day: Some(day.day.clone()),
    });
    whole.days.truncate(fitting);
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use gridtrail_proto::query::v1::FreshnessPartition;
    use proptest::prelude::*;

    fn whole(partitions: &[u8], days: u8, events: usize) -> GetFreshnessResponse {
        let source = |(number, count): (usize, &u8)| FreshnessSource {
            name: format!("topic-{number}"),
            cluster: "c".into(),
            partitions: (0..i32::from(*count))
                .map(|partition| FreshnessPartition { partition, ..FreshnessPartition::default() })
                .collect(),
            ..FreshnessSource::default()
        };
        let names = 0..partitions.len();
        let day = |day: u8, number: usize| FreshnessDay {
            day: format!("2026-03-{day:02}"),
            source: format!("topic-{number}"),
            cluster: "c".into(),
            events: vec!["the topic was deleted".into(); events],
            ..FreshnessDay::default()
        };
        GetFreshnessResponse {
            sources: partitions.iter().enumerate().map(source).collect(),
            days: (0..days).rev().flat_map(|d| names.clone().map(move |number| day(d, number))).collect(),
            ..GetFreshnessResponse::default()
        }
    }

    fn first_page(mut whole: GetFreshnessResponse, room: usize) -> (GetFreshnessResponse, Option<Next>) {
        let next = end_where_full(&mut whole, room);
        (whole, next)
    }

    proptest! {
        /// Pages, put together, are the whole, and none is larger than its room but for the lengths of what it nests.
        #[test]
        fn pages_never_skip_or_repeat(
            partitions in prop::collection::vec(0u8..40, 0..6),
            days in 0u8..9,
            events in 0usize..4,
            room in 200usize..900,
        ) {
            let all = whole(&partitions, days, events);
            let (mut sources, mut found) = (Vec::<FreshnessSource>::new(), Vec::new());
            let (mut page, mut next) = first_page(all.clone(), room);
            loop {
                prop_assert!(page.encoded_len() <= room + 3 * partitions.len());
                for source in std::mem::take(&mut page.sources) {
                    match sources.last_mut() {
                        Some(last) if last.name == source.name => last.partitions.extend(source.partitions),
                        _ => sources.push(source),
                    }
                }
                found.append(&mut page.days);
                let Some(at) = next else { break };
                let mut rest = all.clone();
                prop_assert!(begin_at(&mut rest, &URL_SAFE_NO_PAD.encode(at.encode_to_vec())).is_some());
                (page, next) = first_page(rest, room);
            }
            prop_assert_eq!((sources, found), (all.sources, all.days));
        }

        #[test]
        fn no_token_panics(token in "[A-Za-z0-9_-]{1,80}") {
            prop_assert!(page_of(whole(&[3], 2, 1), &token).is_err());
        }
    }

    #[test]
    fn a_page_that_has_room_is_the_whole() {
        let all = whole(&[3, 0, 7], 30, 2);
        assert_eq!(page_of(all.clone(), "").unwrap(), all);
    }
}
