//! What was so at one time as known at another, found by looking at every event of the world anew for each field, and held
//! against what fragments answer that were folded in batches, in any order, with repeats.
//!
//! `GRIDTRAIL_INVENTORY_CASES` says how many worlds; a failing one is told by its seed, and comes again with
//! `GRIDTRAIL_INVENTORY_SEED=n GRIDTRAIL_INVENTORY_CASES=1`.

use crate::it::setting;
use crate::it::world::{Chance, all_named, world};
use gridtrail_inventory::{
    DeviceDetails, FactOrigin, FieldChange, HubFields, InventoryEvent, InventoryFact, InventoryFragment,
    InventoryKey, InventoryRow, InventoryStatement, InventoryView, Registration, merge_rows, rows_of,
};
use gridtrail_model::{Merge, Named, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

const CASES_EVERY_DAY: u64 = 400;
const EVENTS_MAX: usize = 28;

/// What a fact says of fields, by their names: a value, or none.
type Says = Vec<(String, Option<String>)>;

fn field<T: Debug>(says: &mut Says, name: &str, value: Option<&T>) {
    says.extend(value.map(|value| (name.to_owned(), Some(format!("{value:?}")))));
}

fn said<T: Debug>(says: &mut Says, name: &str, said: &FieldChange<T>) {
    match said {
        FieldChange::Unsaid => {}
        FieldChange::Cleared => says.push((name.to_owned(), None)),
        FieldChange::Value(value) => says.push((name.to_owned(), Some(format!("{value:?}")))),
    }
}

fn of_details(details: &DeviceDetails) -> Says {
    let mut says = Says::new();
    field(&mut says, "device_type", details.device_type.as_ref());
    field(&mut says, "manufacturer", details.manufacturer.as_ref());
    field(&mut says, "model", details.model.as_ref());
    field(&mut says, "esme_variant", details.esme_variant.as_ref());
    field(&mut says, "smets_chts_version", details.smets_chts_version.as_ref());
    field(&mut says, "wan_technology_type", details.wan_technology_type.as_ref());
    field(&mut says, "firmware_version", details.firmware_version.as_ref());
    field(&mut says, "han_variant", details.han_variant.as_ref());
    says
}

fn of_hub(hub: &HubFields) -> Says {
    let mut says = Says::new();
    field(&mut says, "aerial_installed", hub.aerial_installed.as_ref());
    field(&mut says, "aerial_type", hub.aerial_type.as_ref());
    field(&mut says, "birth_event", hub.birth_event.as_ref());
    field(&mut says, "network_status", hub.network_status.as_ref());
    field(&mut says, "deactivated_at", hub.deactivated_at.as_ref());
    field(&mut says, "smwan_connectivity_status", hub.smwan_connectivity_status.as_ref());
    field(&mut says, "han_status", hub.han_status.as_ref());
    field(&mut says, "last_connection", hub.last_connection.as_ref());
    field(&mut says, "last_tamper", hub.last_tamper.as_ref());
    field(&mut says, "last_outage", hub.last_outage.as_ref());
    field(&mut says, "last_restore", hub.last_restore.as_ref());
    says
}

fn of_registration(data: &Registration) -> Says {
    let mut says = Says::new();
    said(&mut says, "uprn", &data.uprn);
    said(&mut says, "first_line", &data.first_line);
    said(&mut says, "postcode", &data.postcode);
    said(&mut says, "property", &data.property);
    said(&mut says, "responsible_supplier", &data.responsible_supplier);
    said(&mut says, "network_party", &data.network_party);
    said(&mut says, "registered_supplier_agent", &data.registered_supplier_agent);
    says
}

fn of_fact(fact: &InventoryFact, about: Named) -> Says {
    let yes = |holds: bool| holds.then(|| "yes".to_owned());
    match fact {
        InventoryFact::Device { details, .. } => of_details(details),
        InventoryFact::DeviceRemoved { .. } => Says::new(),
        InventoryFact::SmiStatus { status, .. } => {
            vec![("smi_status".to_owned(), status.map(|status| format!("{status:?}")))]
        }
        InventoryFact::Installation { device, mpxn, installed } => {
            let name =
                if about == Named::Mpxn(*mpxn) { format!("has {device}") } else { format!("at {mpxn}") };
            vec![(name, yes(*installed))]
        }
        InventoryFact::Association { device, with, associated } => {
            let mut says = Says::new();
            if about == Named::Device(*device) {
                says.push((format!("with {with}"), yes(*associated)));
            }
            if about == Named::Device(*with) {
                says.push((format!("of {device}"), yes(*associated)));
            }
            says
        }
        InventoryFact::Region { region, .. } => vec![("region".to_owned(), Some(format!("{region:?}")))],
        InventoryFact::Registration { data, .. } => of_registration(data),
        InventoryFact::Hub { fields, .. } => of_hub(fields),
    }
}

/// What presence says: there, or removed.
fn of_presence(fact: &InventoryFact) -> Says {
    match fact {
        InventoryFact::Device { .. } => vec![("in".to_owned(), Some("there".to_owned()))],
        InventoryFact::DeviceRemoved { .. } => vec![("in".to_owned(), Some("gone".to_owned()))],
        _ => Says::new(),
    }
}

struct Oracle<'w> {
    events: &'w [InventoryEvent],
    about: Named,
    effective: Timestamp,
    recorded: Timestamp,
}

impl Oracle<'_> {
    fn is_known(&self, event: &InventoryEvent) -> bool {
        event.recorded_at <= self.recorded && event.about().contains(&self.about)
    }

    fn counts(&self, event: &InventoryEvent) -> bool {
        let undoes =
            |other: &InventoryEvent| self.is_known(other) && other.target().as_ref() == Some(&event.id);
        let is_undone = event.origin == FactOrigin::Inventory && self.events.iter().any(undoes);
        self.is_known(event) && !is_undone
    }

    /// Every event that says something of a field and has begun.
    fn begun(
        &self,
        of: &dyn Fn(&InventoryFact) -> Says,
        name: &str,
    ) -> Vec<(&InventoryEvent, Option<Timestamp>, Option<String>)> {
        let mut begun = Vec::new();
        for event in self.events.iter().filter(|event| self.counts(event)) {
            let InventoryStatement::Fact(stated) = &event.told else { continue };
            if stated.effective.from() > self.effective {
                continue;
            }
            for (field, value) in of(&stated.fact) {
                if field == name {
                    begun.push((event, stated.effective.until(), value));
                }
            }
        }
        begun
    }

    fn value(&self, of: &dyn Fn(&InventoryFact) -> Says, name: &str) -> Option<String> {
        let begun = self.begun(of, name);
        let rank = begun.iter().map(|(event, ..)| event.origin).max()?;
        let from = |event: &InventoryEvent| match &event.told {
            InventoryStatement::Fact(stated) => stated.effective.from(),
            InventoryStatement::Withdrawal(_) => unreachable!("a withdrawal says nothing of a field"),
        };
        let of_rank = begun.into_iter().filter(|(event, ..)| event.origin == rank);
        let (_, until, value) =
            of_rank.max_by_key(|(event, ..)| (from(event), event.recorded_at, (*event).clone()))?;
        value.filter(|_| until.is_none_or(|until| self.effective < until))
    }

    fn in_inventory(&self) -> bool {
        match self.value(&of_presence, "in") {
            Some(what) => what == "there",
            None => {
                let any = |event: &InventoryEvent| match &event.told {
                    InventoryStatement::Fact(stated) => {
                        self.counts(event) && stated.effective.from() <= self.effective
                    }
                    InventoryStatement::Withdrawal(_) => false,
                };
                self.begun(&of_presence, "in").is_empty() && self.events.iter().any(any)
            }
        }
    }

    fn answers(&self) -> BTreeMap<String, String> {
        let of = |fact: &InventoryFact| of_fact(fact, self.about);
        let mut names = BTreeSet::new();
        for event in self.events.iter().filter(|event| event.about().contains(&self.about)) {
            if let InventoryStatement::Fact(stated) = &event.told {
                names.extend(of(&stated.fact).into_iter().map(|(name, _)| name));
            }
        }
        let values = names.into_iter().filter_map(|name| self.value(&of, &name).map(|value| (name, value)));
        let mut answers: BTreeMap<String, String> = values.collect();
        if matches!(self.about, Named::Device(_)) && self.in_inventory() {
            answers.insert("in".to_owned(), "there".to_owned());
        }
        answers
    }
}

/// What the fold answers, by the names of fields.
fn folded(view: &InventoryView<'_>, effective: Timestamp) -> BTreeMap<String, String> {
    let mut says = Says::new();
    let yes = || Some("yes".to_owned());
    if let Some(state) = view.device_at(effective) {
        says.extend(of_details(&state.details));
        says.extend(of_hub(&state.hub));
        field(&mut says, "smi_status", state.smi_status.as_ref());
        field(&mut says, "region", state.region.as_ref());
        says.extend(state.installed_at.iter().map(|mpxn| (format!("at {mpxn}"), yes())));
        says.extend(state.associated.iter().map(|device| (format!("of {device}"), yes())));
        says.extend(state.associated_with.iter().map(|device| (format!("with {device}"), yes())));
        says.extend(state.in_inventory.then(|| ("in".to_owned(), Some("there".to_owned()))));
        let history = view.smi_statuses();
        assert!(
            history.periods().is_sorted_by(|one, next| one.until.is_some_and(|until| until <= next.from))
        );
    }
    if let Some(state) = view.meter_point_at(effective) {
        says.extend(of_registration(&state.registration));
        says.extend(state.devices.iter().map(|device| (format!("has {device}"), yes())));
    }
    says.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// The fragment of a Device or meter point from batches of shuffled events, some of which come twice: through rows and their merge,
/// as a table has them.
fn fragment_of(chance: &mut Chance, events: &[InventoryEvent], about: Named) -> InventoryFragment {
    let mut told: Vec<InventoryEvent> = events.to_vec();
    for _ in 0..chance.below(6) {
        let again = chance.of(events);
        told.push(again);
    }
    for at in (1..told.len()).rev() {
        told.swap(at, chance.below(at + 1));
    }
    let mut whole: Option<InventoryFragment> = None;
    let mut rows: Vec<InventoryRow> = Vec::new();
    for batch in told.chunks(1 + chance.below(8)) {
        let mut part = InventoryFragment::new(about);
        for event in batch {
            part.add(event.clone());
        }
        match &mut whole {
            Some(whole) => whole.merge(part),
            None => whole = Some(part),
        }
        rows = merge_rows(rows, batch.iter().flat_map(rows_of).collect());
    }
    let whole = whole.expect("a world has an event");
    let of_key = rows.iter().filter(|row| row.key == InventoryKey::from(about));
    assert_eq!(InventoryFragment::of_rows(about, of_key).unwrap(), whole, "rows and fragments say the same");
    whole
}

#[test]
fn the_fold_answers_as_a_search_of_all_events() {
    let first = setting("GRIDTRAIL_INVENTORY_SEED", 1);
    let cases = setting("GRIDTRAIL_INVENTORY_CASES", CASES_EVERY_DAY);
    let (mut asked, mut answered) = (0_u64, 0_usize);
    for seed in first..first + cases {
        let mut chance = Chance(seed);
        let events = world(&mut chance, EVENTS_MAX);
        for about in all_named() {
            let fragment = fragment_of(&mut chance, &events, about);
            for _ in 0..2 {
                let (effective, recorded) = (chance.hour(), chance.hour());
                let oracle = Oracle { events: &events, about, effective, recorded };
                let expected = oracle.answers();
                let found = folded(&fragment.known_at(recorded), effective);
                assert_eq!(found, expected, "seed {seed}: {about:?} at {effective} as known at {recorded}");
                asked += 1;
                answered += expected.len();
            }
        }
    }
    assert!(answered > usize::try_from(cases).unwrap(), "the worlds say too little: {answered} values");
    println!("{cases} worlds, {asked} questions, {answered} values");
}
