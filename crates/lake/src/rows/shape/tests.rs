use super::*;
use crate::rows::packed::Packed;
use gridtrail_model::{Instruction, State, cancels_request};
use proptest::prelude::*;

type Entry = (State, i64, Option<&'static str>, Option<(u16, u16)>, Option<&'static str>);

fn entry() -> impl Strategy<Value = Entry> {
    let instruction = prop::option::weighted(0.3, (1u16..4, 1u16..4));
    let code =
        prop::option::of(prop::sample::select(vec!["I0", "I99", "E20", "E21", "E30", "E1", "E5", "W110101"]));
    let cause = prop::option::weighted(0.2, Just("a threshold"));
    (prop::sample::select(State::ALL), -3i64..4, code, instruction, cause)
}

/// A time of the year 3000, which cancels a request.
const CANCELLING: i64 = 32_503_680_000_000 + 86_400_000;

fn row(
    (kind, leg): (u8, u8),
    (counter, is_own): (u64, bool),
    (mode, variant): (Option<Mode>, Option<&str>),
    (execution, schedule): (Option<bool>, Option<u64>),
    (responses, gbcs): (u8, Option<bool>),
    (entries, lag): (&[Entry], i64),
    says_more: bool,
) -> Fragment {
    let at = Timestamp::from_millis(1_770_000_000_000).unwrap();
    let user = UserId::from_bytes([9, 1, 2, 3, 4, 5, 6, 7]);
    let device = DeviceId::from_bytes([1; 8]);
    let target = if is_own { device } else { DeviceId::from_bytes([2; 8]) };
    let request_id = RequestId { originator: user, target, counter };
    let response_id = ResponseId::mirror_of(&request_id);
    let subject = match kind {
        0 => Subject::Leg(Leg { request_id, command_variant: CommandVariant::new(leg).unwrap() }),
        1 => Subject::ScheduledRun(response_id),
        2 => {
            Subject::Alert { response_id, code: "8F36".parse().unwrap(), throttle_sequence: Some(leg.into()) }
        }
        _ => Subject::Unjoined(request_id),
    };
    let mut row = Fragment::new(TrailKey { user, subject }, at);
    row.received.add(at);
    row.device.add(device);
    row.mode.add_some(mode);
    row.variant.add_some(variant.map(|variant| variant.parse().unwrap()));
    let execution = execution.map(|cancels| if cancels { CANCELLING } else { at.millis() + 7_000 });
    row.execution_at.add_some(execution.and_then(Timestamp::from_millis));
    row.schedule_id.add_some(schedule);
    row.preceding.add_some(schedule.map(|counter| RequestId { counter, ..request_id }));
    row.originator_counter.add_some(gbcs.map(|same| if same { counter } else { 77 }));
    if responses & 1 != 0 {
        row.response_ids.add(response_id);
    }
    if responses & 2 != 0 {
        row.response_ids.add(ResponseId { first: DeviceId::from_bytes([0; 8]), ..response_id });
        row.response_ids.add(ResponseId { counter: 5, ..response_id });
    }
    let mut last = at;
    for (state, seconds, code, instruction, cause) in entries {
        row.record(HistoryEntry {
            at: at.plus_millis(seconds * 1_000),
            state: *state,
            code: code.map(|code| code.parse().unwrap()),
            instruction: instruction.map(|(number, total)| Instruction { number, total }),
            cause: cause.map(|cause| cause.parse().unwrap()),
        });
        last = last.max(at.plus_millis(seconds * 1_000));
    }
    row.recorded_at_max = last.plus_millis(lag);
    if says_more {
        row.mpxn.add("1217290354420".parse().unwrap());
        row.mpxn.add("2100778977771".parse().unwrap());
    }
    row
}

proptest! {
    /// A shape and a tail say of a row what the row decoded whole does.
    #[test]
    fn a_shape_and_a_tail_say_what_their_row_does(
        kind in (0u8..4, 1u8..10),
        id in (any::<u64>(), any::<bool>()),
        mode in prop::option::of(prop::sample::select(Mode::ALL)),
        variant in prop::option::of(prop::sample::select(vec!["4.8.1", "1.1.1", "1.2.1", "6.15.1", "8.2"])),
        execution in prop::option::of(any::<bool>()),
        schedule in prop::option::of(any::<u64>()),
        responses in 0u8..4,
        gbcs in prop::option::of(any::<bool>()),
        history in prop::collection::vec(entry(), 0..6),
        lag in 0i64..3,
        says_more: bool,
    ) {
        let row =
            row(kind, id, (mode, variant), (execution, schedule), (responses, gbcs), (&history, lag), says_more);
        let whole = Trail::from(&row);
        let placement = row.placement().unwrap();
        let mut packed = Packed::default();
        packed.pack(&row, placement);
        let shape = Shape::read(&packed.shape).unwrap();
        let under = Under {
            user: row.key.user.to_bytes(),
            device: row.device.value().unwrap().to_bytes(),
            placement_ms: placement.millis(),
        };
        let (fields, rest) = shape.fields(&packed.tail, under).unwrap();
        let cancels = cancels_request(fields.execution_at);
        let read = shape.trail(variant.map(|variant| variant.parse().unwrap()), cancels);
        prop_assert_eq!(
            (read.simplified, read.current_status, read.mode, read.response_code, read.alert_code),
            (whole.simplified, whole.current_status, whole.mode, whole.response_code, whole.alert_code)
        );
        prop_assert_eq!(
            (read.command_variant, read.anomaly_detection_flag, read.awaiting_request, read.variant),
            (whole.command_variant, whole.anomaly_detection_flag, whole.awaiting_request, whole.variant)
        );
        prop_assert_eq!(
            (fields.request_id, fields.response_id, fields.preceding, fields.counter),
            (whole.request_id, whole.response_id, whole.preceding_request_id, whole.gbcs_transaction_sequence_number)
        );
        prop_assert_eq!((fields.execution_at, fields.schedule_id), (whole.execution_at, whole.schedule_id));
        prop_assert_eq!(shape.says_more(), says_more);
        let mut times = Vec::new();
        shape.times(&mut rest.clone(), under.placement_ms, |at| times.push(at)).unwrap();
        prop_assert!(times.iter().copied().eq(whole.history.iter().map(|entry| entry.at.millis())));
        let texts = |trail: &Trail| -> Vec<_> {
            trail.history.iter().map(|e| (e.state, e.code, e.instruction, e.cause.clone())).collect()
        };
        prop_assert_eq!(texts(&read), texts(&whole));
        let sent = read.sent_at.map(|at| read.history.iter().rposition(|entry| entry.at == at).unwrap());
        prop_assert_eq!(sent.map(|at| times[at]), whole.sent_at.map(Timestamp::millis));
        let recorded = shape.recorded_ms((&fields, &mut rest.clone()), under.placement_ms);
        prop_assert_eq!(recorded, Some(row.recorded_at_max.millis()));
    }

    #[test]
    fn no_bytes_panic(shape: Vec<u8>, tail: Vec<u8>, device: [u8; 8]) {
        let under = Under { user: device, device, placement_ms: 0 };
        if let Some(shape) = Shape::read(&shape) {
            let _ = (shape.trail(None, false), shape.fields(&tail, under).is_some());
            if let Some((fields, mut rest)) = shape.fields(&tail, under) {
                let _ = shape.recorded_ms((&fields, &mut rest), 0);
            }
        }
    }
}
