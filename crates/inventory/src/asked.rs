//! Rows of what waits for its outcome: what a request asks for lies under each Device and meter point that it is about, and what became of the request
//! under the request. Both are facts of messages that never change, so no row of the one is written with a look-up of the other: whoever reads the
//! rows of a Device reads those of the requests in them, and joins both ([`InventoryFragment::of_rows`](crate::InventoryFragment::of_rows)).

use crate::event::FactOrigin;
use crate::pending::{AskedChange, AskedFact, OutcomeOf, PendingPart, RequestOutcome};
use crate::row::{InventoryKey, InventoryRow, InventoryRowKind, pack_fact, unpack_fact};
use gridtrail_model::{Named, RequestId, ServiceReferenceVariant};
use gridtrail_packed::{self as pack, Packed, Packer};
use xxhash_rust::xxh64::xxh64;

impl InventoryKey {
    /// What the outcomes of a request lie under: its print, which others may share. Rows say whose they are.
    pub fn of_request(id: &RequestId) -> Self {
        Self::Request(xxh64(&id.to_bytes(), 0))
    }
}

/// The rows of a part of what is known of a request.
pub fn rows_of_pending(part: &PendingPart) -> Vec<InventoryRow> {
    match part {
        PendingPart::Asked(asked) => {
            let of_fact = |fact| under(fact).map(move |named| asked_row(asked, fact, named));
            asked.facts.iter().flat_map(of_fact).collect()
        }
        PendingPart::Outcome(outcome) => vec![outcome_row(outcome)],
    }
}

fn under(fact: &AskedFact) -> impl Iterator<Item = Named> {
    let (first, second) = fact.fact.about();
    std::iter::once(first).chain(second)
}

fn asked_row(asked: &AskedChange, asked_fact: &AskedFact, under: Named) -> InventoryRow {
    let (kind, fact) = pack_fact(&asked_fact.fact, under);
    let body = Packer::default()
        .bytes(1, Some(&asked.request_id.to_bytes()))
        .number(2, Some(variant_number(asked.variant)))
        .byte(3, Some(u8::from(asked.non_device)))
        .byte(4, Some(asked_fact.outcome.number()))
        .byte(5, Some(kind.number()))
        .bytes(6, Some(&fact));
    InventoryRow {
        key: under.into(),
        kind: InventoryRowKind::Asked,
        effective_from: asked_fact.from,
        recorded_at: asked.recorded_at,
        effective_until: None,
        origin: FactOrigin::Duis,
        event_id: asked.event_id.clone(),
        target: None,
        body: body.finish(),
    }
}

/// The kind of fact that the body of a row asks for, and the body of that fact.
pub(crate) fn fact_in(body: &[u8]) -> Option<(InventoryRowKind, &[u8])> {
    let mut body = Packed::read(body)?;
    let kind = body.required(5, |value| InventoryRowKind::from_number(pack::byte(value)?))?;
    Some((kind, body.required(6, Some)?))
}

/// What a row says that a request asks for. `None`: no writer of ours writes it.
pub(crate) fn asked(row: &InventoryRow, under: Named, body: &mut Packed<'_>) -> Option<AskedChange> {
    let request_id = body.required(1, read_id)?;
    let variant = body.required(2, read_variant)?;
    let non_device = body.required(3, pack::flag)?;
    let outcome = body.required(4, |value| OutcomeOf::from_number(pack::byte(value)?))?;
    let kind = body.required(5, |value| InventoryRowKind::from_number(pack::byte(value)?))?;
    let mut packed = body.required(6, Packed::read)?;
    let fact = unpack_fact(kind, under, &mut packed).filter(|_| packed.is_empty())?;
    let plain = row.origin == FactOrigin::Duis && row.target.is_none() && row.effective_until.is_none();
    plain.then(|| AskedChange {
        request_id,
        variant,
        non_device,
        recorded_at: row.recorded_at,
        event_id: row.event_id.clone(),
        facts: vec![AskedFact { outcome, from: row.effective_from, fact }],
    })
}

fn outcome_row(outcome: &RequestOutcome) -> InventoryRow {
    let body = Packer::default()
        .bytes(1, Some(&outcome.request_id.to_bytes()))
        .number(2, outcome.variant.map(variant_number))
        .byte(3, Some(outcome.of.number()))
        .text(4, Some(outcome.code.as_str()));
    InventoryRow {
        key: InventoryKey::of_request(&outcome.request_id),
        kind: InventoryRowKind::Outcome,
        effective_from: Some(outcome.at),
        recorded_at: outcome.recorded_at,
        effective_until: None,
        origin: FactOrigin::Duis,
        event_id: outcome.event_id.clone(),
        target: None,
        body: body.finish(),
    }
}

/// What a row says that became of a request. `None`: no writer of ours writes it.
pub(crate) fn outcome(row: &InventoryRow, body: &mut Packed<'_>) -> Option<RequestOutcome> {
    let outcome = RequestOutcome {
        request_id: body.required(1, read_id)?,
        variant: body.optional(2, read_variant)?,
        of: body.required(3, |value| OutcomeOf::from_number(pack::byte(value)?))?,
        code: body.required(4, pack::parsed)?,
        at: row.effective_from?,
        recorded_at: row.recorded_at,
        event_id: row.event_id.clone(),
    };
    let here = row.key == InventoryKey::of_request(&outcome.request_id);
    let plain = row.origin == FactOrigin::Duis && row.target.is_none() && row.effective_until.is_none();
    (here && plain && row.kind == InventoryRowKind::Outcome).then_some(outcome)
}

fn read_id(value: &[u8]) -> Option<RequestId> {
    value.try_into().ok().map(RequestId::from_bytes)
}

fn variant_number(variant: ServiceReferenceVariant) -> u64 {
    // Its first byte is zero, so it is no negative number.
    variant.to_code().unsigned_abs().into()
}

fn read_variant(value: &[u8]) -> Option<ServiceReferenceVariant> {
    ServiceReferenceVariant::from_code(i32::try_from(pack::number(value)?).ok()?)
}
