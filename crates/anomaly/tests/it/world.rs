//! Events, each in a line; and events by chance.

use crate::it::at;
use gridtrail_anomaly::{
    Action, ActionsAccepted, ActionsRefused, Advice, AnomalyEvent, AnomalyFact, AnomalyFragment,
    AnomalyStatement, ArchiveOpened, Breach, Exceeded, FileName, Origin, Period, Quarantined, Scope,
    Settlement, Threshold, ThresholdKind, ThresholdsFile,
};
use gridtrail_model::{DeviceId, RequestId, ResponseId, UserId, UserRole};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

pub(crate) fn user(number: u8) -> UserId {
    UserId::from_bytes([0, 0, 0, 0, 0, 0, 1, number])
}

/// The RequestID of a communication of a User.
pub(crate) fn request(number: u64) -> RequestId {
    RequestId { originator: user(1), target: DeviceId::from_bytes([7; 8]), counter: number }
}

pub(crate) fn alert(number: u64) -> ResponseId {
    ResponseId {
        first: DeviceId::from_bytes([9; 8]),
        second: DeviceId::from_bytes(user(1).to_bytes()),
        counter: number,
    }
}

/// A fact about the first User, known as soon as it is so.
pub(crate) fn event(id: &str, hours: i64, fact: AnomalyFact) -> AnomalyEvent {
    let told = AnomalyStatement::Fact { at: at(hours), corrects: None, fact };
    AnomalyEvent {
        recorded_at: at(hours),
        id: id.parse().unwrap(),
        origin: Origin::Anomaly,
        about: Some(user(1)),
        told,
    }
}

/// The same event, in the place of another.
pub(crate) fn correcting(other: &str, event: AnomalyEvent) -> AnomalyEvent {
    let AnomalyStatement::Fact { at, fact, .. } = event.told else { panic!("only a fact corrects another") };
    let told = AnomalyStatement::Fact { at, corrects: Some(other.parse().unwrap()), fact };
    AnomalyEvent { told, ..event }
}

/// That an event never was a fact.
pub(crate) fn withdrawn(id: &str, hours: i64, other: &str) -> AnomalyEvent {
    let told = AnomalyStatement::Withdrawal { of: other.parse().unwrap() };
    AnomalyEvent { told, ..event(id, hours, settled(1, Settlement::Released)) }
}

pub(crate) fn fragment(events: impl IntoIterator<Item = AnomalyEvent>) -> AnomalyFragment {
    let mut fragment = AnomalyFragment::new(Some(user(1)));
    for event in events {
        fragment.add(event);
    }
    fragment
}

pub(crate) fn name(smsr: &str) -> FileName {
    FileName { smsr: smsr.parse().unwrap(), role: UserRole::IS }
}

pub(crate) fn scope(variant: Option<&str>, seconds: u32) -> Scope {
    Scope { variant: variant.map(|text| text.parse().unwrap()), period: Period::of_seconds(seconds).unwrap() }
}

pub(crate) fn threshold(kind: ThresholdKind, variant: Option<&str>, seconds: u32, number: u64) -> Threshold {
    Threshold { kind, scope: scope(variant, seconds), communications: number }
}

pub(crate) fn file(smsr: &str, fast_track: bool, thresholds: &[Threshold]) -> AnomalyFact {
    let file = ThresholdsFile::new(name(smsr), fast_track, thresholds.to_vec());
    AnomalyFact::FileReceived(file.unwrap())
}

pub(crate) fn quarantined(number: u64, incident: Option<&str>) -> Quarantined {
    Quarantined {
        request_id: request(number),
        command_variant: None,
        variant: "4.8.1".parse().ok(),
        device: Some(DeviceId::from_bytes([7; 8])),
        mpxn: None,
        received_at: None,
        breach: Breach::UserThreshold,
        event_ref: "20260301001".parse().unwrap(),
        incident: incident.map(|text| text.parse().unwrap()),
        dcc_alert: Some(alert(number)),
    }
}

pub(crate) fn settled(number: u64, what: Settlement) -> AnomalyFact {
    AnomalyFact::Settled(request(number), what)
}

fn reference() -> impl Strategy<Value = gridtrail_anomaly::Reference> {
    select(vec!["INC1", "INC2", "INC3"]).prop_map(|text| text.parse().unwrap())
}

fn any_name() -> impl Strategy<Value = FileName> {
    let roles = select(vec![UserRole::IS, UserRole::GS]);
    (select(vec!["SMSR1", "SMSR2"]), roles)
        .prop_map(|(smsr, role)| FileName { smsr: smsr.parse().unwrap(), role })
}

fn any_scope() -> impl Strategy<Value = Scope> {
    (select(vec![None, Some("4.8.1"), Some("8.2")]), select(vec![60, 3_600, 86_400]))
        .prop_map(|(variant, seconds)| scope(variant, seconds))
}

fn any_threshold(kinds: &'static [ThresholdKind]) -> impl Strategy<Value = Threshold> {
    (select(kinds), any_scope(), 0_u64..4).prop_map(|(kind, scope, communications)| Threshold {
        kind,
        scope,
        communications,
    })
}

fn any_quarantined() -> impl Strategy<Value = Quarantined> {
    let ids = (0_u64..4, of(0_u64..4), of(reference()), of((0_i64..900).prop_map(at)));
    let what = (of(1_u8..=9), of(select(vec!["4.8.1", "8.2"])), of(any::<[u8; 8]>()), of("[0-9]{13}"));
    (ids, what, select(Breach::ALL)).prop_map(|((number, told, incident, received_at), what, breach)| {
        let (command, variant, device, mpxn) = what;
        Quarantined {
            command_variant: command.and_then(gridtrail_model::CommandVariant::new),
            variant: variant.map(|text| text.parse().unwrap()),
            device: device.map(DeviceId::from_bytes),
            mpxn: mpxn.map(|text| text.parse().unwrap()),
            received_at,
            breach,
            incident,
            dcc_alert: told.map(alert),
            ..quarantined(number, None)
        }
    })
}

fn any_opening() -> impl Strategy<Value = ArchiveOpened> {
    let ids = prop::collection::vec((0_u64..4).prop_map(request), 0..3);
    (reference(), of((0_i64..2_000).prop_map(at)), reference(), ids).prop_map(
        |(major, closes, incident, ids)| {
            let incident = Some(incident).filter(|_| ids.len() != 1);
            ArchiveOpened::new(major, closes, incident, ids).unwrap()
        },
    )
}

fn any_actions() -> impl Strategy<Value = ActionsAccepted> {
    let actions = prop::collection::btree_map(0_u64..4, select(Action::ALL), 1..4);
    (reference(), (0_i64..900).prop_map(at), of(any::<[u8; 32]>()), actions).prop_map(
        |(incident, validated_at, file, actions)| {
            let actions = actions.into_iter().map(|(number, action)| (request(number), action)).collect();
            let file = file.map(gridtrail_anomaly::FileHash::from_bytes);
            ActionsAccepted::new(incident, validated_at, file, actions).unwrap()
        },
    )
}

fn any_refusal() -> impl Strategy<Value = ActionsRefused> {
    let faults = prop::collection::vec((0_u32..5, "[a-z]{1,9}"), 1..3);
    (of(reference()), (0_i64..900).prop_map(at), faults).prop_map(|(incident, refused_at, faults)| {
        let faults = faults.into_iter().map(|(line, reason)| (line, reason.parse().unwrap())).collect();
        ActionsRefused::new(incident, refused_at, None, faults).unwrap()
    })
}

fn any_fact() -> impl Strategy<Value = AnomalyFact> {
    use ThresholdKind::{DccSet, UserSet, Warning};
    let file = (any_name(), any::<bool>(), prop::collection::vec(any_threshold(&[Warning, UserSet]), 0..5));
    let exceeded = (any_threshold(&[Warning, UserSet, DccSet]), 0_u64..9, reference(), of(reference()));
    prop_oneof![
        2 => file.prop_map(|(name, fast, all)| {
            AnomalyFact::FileReceived(ThresholdsFile::new(name, fast, all).unwrap())
        }),
        2 => any_name().prop_map(AnomalyFact::FileApplied),
        1 => (any_name(), "[a-z ]{1,20}")
            .prop_map(|(name, reason)| AnomalyFact::FileRejected(name, reason.parse().unwrap())),
        2 => (any_scope(), of(0_u64..4))
            .prop_map(|(scope, communications)| AnomalyFact::DccThreshold { scope, communications }),
        1 => exceeded.prop_map(|(threshold, observed, incident, smsr)| {
            AnomalyFact::Exceeded(Exceeded { threshold, observed, incident, smsr, emailed_at: None })
        }),
        1 => (reference(), select(Advice::ALL)).prop_map(|(of, advice)| AnomalyFact::Advised(of, advice)),
        4 => any_quarantined().prop_map(AnomalyFact::Quarantined),
        3 => (0_u64..4, select(Settlement::ALL)).prop_map(|(number, what)| settled(number, what)),
        2 => any_opening().prop_map(AnomalyFact::ArchiveOpened),
        1 => any_actions().prop_map(AnomalyFact::ActionsAccepted),
        1 => any_refusal().prop_map(AnomalyFact::ActionsRefused),
    ]
}

/// Events by chance about the first User, late ones, corrections and withdrawals among them. Their identifiers are their numbers.
pub(crate) fn any_events() -> impl Strategy<Value = Vec<AnomalyEvent>> {
    let one = (any_fact(), 0_i64..900, 0_i64..200, of(0_usize..12), any::<bool>(), any::<bool>());
    prop::collection::vec(one, 0..12).prop_map(|all| {
        type One = (AnomalyFact, i64, i64, Option<usize>, bool, bool);
        let event_of = |(number, one): (usize, One)| {
            let (fact, hours, late, target, withdraws, told_by_message) = one;
            let told = event(&format!("e{number}"), hours, fact);
            let target: Option<String> = target.map(|of| format!("e{of}")).filter(|_| !told_by_message);
            let by_message = matches!(
                &told.told,
                AnomalyStatement::Fact { fact: AnomalyFact::Quarantined(_), .. } if told_by_message
            );
            let mut told = match target {
                Some(of) if withdraws => withdrawn(told.id.as_str(), hours, &of),
                Some(of) => correcting(&of, told),
                None => told,
            };
            told.recorded_at = told.recorded_at.plus_millis(late * 3_600_000);
            if by_message {
                told.origin = Origin::Duis;
            }
            told
        };
        all.into_iter().enumerate().map(event_of).collect()
    })
}
