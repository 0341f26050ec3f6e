//! What rows say, read back.

use crate::asked;
use crate::event::{Effective, InventoryEvent, InventoryStatement, StatedFact, Withdrawal};
use crate::fragment::InventoryFragment;
use crate::pending::PendingFacts;
use crate::row::{
    InventoryKey, InventoryRow, InventoryRowContent, InventoryRowError, InventoryRowKind, mpxn, unpack_about,
    unpack_fact, users_in,
};
use gridtrail_model::{Named, RequestId, UserId};
use gridtrail_packed::Packed;
use std::collections::{BTreeMap, BTreeSet};

impl InventoryRow {
    /// Reads the row back. Errors: no writer of ours writes it, or a later build does.
    pub fn content(&self) -> Result<InventoryRowContent, InventoryRowError> {
        self.read().ok_or(InventoryRowError { kind: self.kind })
    }

    fn read(&self) -> Option<InventoryRowContent> {
        let mut body = Packed::read(&self.body)?;
        let under = match self.key {
            InventoryKey::Device(device) => Named::Device(device),
            InventoryKey::Mpxn(mpxn) => Named::Mpxn(mpxn),
            InventoryKey::Uprn(_) | InventoryKey::Postcode(_) => {
                let mpxn = body.required(1, mpxn)?;
                let leads = self.kind == InventoryRowKind::LeadsTo && body.is_empty();
                return leads.then_some(InventoryRowContent::LeadsTo(mpxn));
            }
            InventoryKey::Request(_) => {
                let outcome = asked::outcome(self, &mut body)?;
                return body.is_empty().then(|| InventoryRowContent::Outcome(Box::new(outcome)));
            }
        };
        if self.kind == InventoryRowKind::Asked {
            let asked = asked::asked(self, under, &mut body)?;
            return body.is_empty().then(|| InventoryRowContent::Asked(Box::new(asked)));
        }
        let told = if self.kind == InventoryRowKind::Withdrawal {
            let (of, about) = (self.target.clone()?, unpack_about(&mut body, under)?);
            InventoryStatement::Withdrawal(Withdrawal::new(of, about).ok()?)
        } else {
            let effective = Effective::new(self.effective_from?, self.effective_until).ok()?;
            InventoryStatement::Fact(StatedFact {
                effective,
                corrects: self.target.clone(),
                fact: unpack_fact(self.kind, under, &mut body)?,
            })
        };
        let event = InventoryEvent {
            recorded_at: self.recorded_at,
            id: self.event_id.clone(),
            origin: self.origin,
            told,
        };
        body.is_empty().then(|| InventoryRowContent::Event(Box::new(event)))
    }
}

impl InventoryFragment {
    /// What the rows of one Device or meter point say, and what came about of all that requests ask for it, as far as rows of those requests
    /// ([`requests_in`](crate::requests_in)) are among them. Rows of others add nothing. Errors: as [`InventoryRow::content`].
    pub fn of_rows<'r>(
        about: Named,
        rows: impl IntoIterator<Item = &'r InventoryRow>,
    ) -> Result<Self, InventoryRowError> {
        let (mut fragment, mut requests) = (Self::new(about), BTreeMap::new());
        for row in rows {
            match row.content()? {
                InventoryRowContent::Event(event) => {
                    fragment.add(*event);
                }
                InventoryRowContent::Asked(asked) => pending(&mut requests, asked.request_id).ask(*asked),
                InventoryRowContent::Outcome(outcome) => {
                    pending(&mut requests, outcome.request_id).answer(*outcome);
                }
                InventoryRowContent::LeadsTo(_) => {}
            }
        }
        for fact in requests.values().flat_map(PendingFacts::facts) {
            fragment.add(fact);
        }
        Ok(fragment)
    }
}

fn pending(requests: &mut BTreeMap<RequestId, PendingFacts>, id: RequestId) -> &mut PendingFacts {
    requests.entry(id).or_insert_with(|| PendingFacts::new(id))
}

/// Whether a row of a meter point says, or asks, that one of some User IDs is its Responsible Supplier, its Network Party or its Registered Supplier
/// Agent, at whatever time: a look at its kind and body alone. What was so when, a fold of all rows says. `None`: no writer of ours writes it.
pub fn names_user(kind: InventoryRowKind, body: &[u8], is_wanted: impl Fn(&UserId) -> bool) -> Option<bool> {
    let registration = match kind {
        InventoryRowKind::Registration => body,
        InventoryRowKind::Asked => match asked::fact_in(body)? {
            (InventoryRowKind::Registration, fact) => fact,
            _ => return Some(false),
        },
        _ => return Some(false),
    };
    Some(users_in(registration)?.iter().flatten().any(is_wanted))
}

/// The requests that ask for something in some rows. Errors: as [`InventoryRow::content`].
pub fn requests_in<'r>(
    rows: impl IntoIterator<Item = &'r InventoryRow>,
) -> Result<BTreeSet<RequestId>, InventoryRowError> {
    let mut requests = BTreeSet::new();
    for row in rows.into_iter().filter(|row| row.kind == InventoryRowKind::Asked) {
        if let InventoryRowContent::Asked(asked) = row.content()? {
            requests.insert(asked.request_id);
        }
    }
    Ok(requests)
}
