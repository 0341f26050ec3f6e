//! Random events: every shape that the contract can carry.

use gridtrail_model::*;
use proptest::option::of;
use proptest::prelude::*;

fn time() -> impl Strategy<Value = Timestamp> {
    (Timestamp::MIN.millis()..=Timestamp::MAX.millis()).prop_map(|ms| Timestamp::from_millis(ms).unwrap())
}

fn request_id() -> impl Strategy<Value = RequestId> {
    any::<([u8; 8], [u8; 8], u64)>().prop_map(|(user, target, counter)| RequestId {
        originator: UserId::from_bytes(user),
        target: DeviceId::from_bytes(target),
        counter,
    })
}

fn response_id() -> impl Strategy<Value = ResponseId> {
    request_id().prop_map(|id| ResponseId::mirror_of(&id))
}

fn parsed<T: std::str::FromStr + std::fmt::Debug>(pattern: &'static str) -> impl Strategy<Value = T>
where
    T::Err: std::fmt::Debug,
{
    pattern.prop_map(|text| text.parse().unwrap())
}

fn cause() -> impl Strategy<Value = Cause> {
    "[a-zA-Zé€\"\\\\ <&>]{1,30}".prop_map(|text| text.parse().unwrap())
}

fn code() -> impl Strategy<Value = ResponseCode> {
    parsed("[IWE][0-9]{1,6}")
}

fn state() -> impl Strategy<Value = State> {
    prop::sample::select(State::ALL)
}

fn correlation() -> impl Strategy<Value = Correlation> {
    let ids = (
        any::<[u8; 8]>(),
        of(request_id()),
        of(time()),
        of(1u8..=9),
        of(response_id()),
        of(any::<[u8; 8]>()),
    );
    let rest = (
        of(parsed::<Mpxn>("[0-9]{6,10}|[0-9]{13}")),
        of(prop::sample::select(CspRegion::ALL)),
        of(parsed::<ServiceReferenceVariant>("[1-9][0-9]?\\.[1-9](\\.[1-9])?")),
        of(prop::sample::select(Mode::ALL)),
        of(request_id()),
        of(any::<u64>()),
    );
    let concerned = (
        prop::collection::vec(any::<[u8; 8]>(), 0..4),
        prop::collection::vec(parsed::<Mpxn>("[0-9]{6,10}|[0-9]{13}"), 0..3),
    );
    (ids, rest, concerned).prop_map(|(ids, rest, concerned)| Correlation {
        user_id: UserId::from_bytes(ids.0),
        request_id: ids.1,
        request_received_at: ids.2,
        command_variant: ids.3.and_then(CommandVariant::new),
        scheduled_run: ids.4,
        device_id: ids.5.map(DeviceId::from_bytes),
        concerned_devices: concerned.0.into_iter().map(DeviceId::from_bytes).collect(),
        mpxn: rest.0,
        concerned_mpxns: concerned.1,
        csp_region: rest.1,
        variant: rest.2,
        mode: rest.3,
        preceding_request_id: rest.4,
        gbcs_originator_counter: rest.5,
    })
}

fn response() -> impl Strategy<Value = ResponseSent> {
    let content = prop_oneof![
        Just(ResponseContent::ServiceResponse),
        Just(ResponseContent::PreCommand),
        Just(ResponseContent::LocalCommand),
        (0..=1_000_000_000_000u64).prop_map(|schedule_id| ResponseContent::ScheduledRead { schedule_id }),
        (any::<bool>(), 1..=u16::MAX, 1..=u16::MAX).prop_map(|(carried_out, number, total)| {
            ResponseContent::FutureDatedAlert { carried_out, instruction: Instruction { number, total } }
        }),
    ];
    let answer = (response_id(), code(), time(), content);
    prop_oneof![
        answer.prop_map(|(id, code, at, content)| ResponseSent { response_id: Some(id), code, at, content }),
        (code(), time()).prop_map(|(code, at)| ResponseSent {
            response_id: None,
            code,
            at,
            content: ResponseContent::Acknowledgement
        }),
    ]
}

fn alert(codes: &'static str, affects: BoxedStrategy<Option<Affected>>) -> impl Strategy<Value = Alert> {
    (
        response_id(),
        parsed::<AlertCode>(codes),
        time(),
        of(time()),
        of(any::<u32>()),
        of(any::<u32>()),
        affects,
    )
        .prop_map(|(response_id, code, at, sent_at, throttle_sequence, throttle_count, affects)| Alert {
            response_id,
            code,
            at,
            sent_at,
            throttle_sequence,
            throttle_count,
            affects,
        })
}

fn body() -> impl Strategy<Value = Body> {
    let affected = (request_id(), state(), of(cause())).prop_map(|(request_id, state, cause)| Affected {
        request_id,
        state,
        cause,
    });
    prop_oneof![
        of(time()).prop_map(|execution_at| Body::RequestReceived(RequestReceived { execution_at })),
        (state(), time(), of(code()), of(cause())).prop_map(|(state, at, code, cause)| Body::StatusChanged(
            StatusChanged { state, at, code, cause }
        )),
        response().prop_map(Body::ResponseSent),
        alert("[0-9A-F]{4}", Just(None).boxed()).prop_map(Body::DeviceAlert),
        alert("AD1|N[0-9]{1,3}", of(affected).boxed()).prop_map(Body::DccAlert),
    ]
}

/// Any event that the contract can carry.
pub(crate) fn event() -> impl Strategy<Value = Event> {
    ("[!-~]{1,64}", time(), correlation(), body()).prop_map(|(id, recorded_at, correlation, body)| Event {
        id: id.parse().unwrap(),
        recorded_at,
        correlation,
        body,
    })
}
