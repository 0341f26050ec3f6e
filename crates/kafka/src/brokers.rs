//! Which brokers are away.
//!
//! A client tells of a broker that it cannot reach for as long as that lasts, several times a second. Whoever reads the log
//! wants to know of it once, and once more when the broker is back.

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError as Client, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the client says in its log and again otherwise: of a broker's connection as an error and in its statistics, of a lost
/// session as partitions that are taken, of offsets that the group was not told as the answer to that.
const TOLD_OTHERWISE: [&str; 5] = ["FAIL", "ERROR", "REQTMOUT", "SESSTMOUT", "COMMITFAIL"];
/// A question that has its answer so soon was held up by a broker that has just come back, or by a partition whose leader changed:
/// the client asks the next time whom it should.
const PASSES: Duration = Duration::from_secs(2);

/// The brokers that one or more clients cannot reach.
#[derive(Debug, Default)]
pub(crate) struct Brokers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Since when, by address.
    away: BTreeMap<String, Instant>,
    /// The addresses of what is no address: the role that a broker has, such as the coordinator of a group.
    roles: BTreeMap<String, String>,
    /// Whether a broker said its number: then the addresses that the client was given at first count for nothing.
    learned: bool,
    /// Questions that get no answer, where no broker is known to be away.
    unanswered: Option<Unanswered>,
}

#[derive(Debug, Clone, Copy)]
struct Unanswered {
    since: Instant,
    told: bool,
}

impl Brokers {
    /// The client says that something is wrong.
    pub(crate) fn wrong(&self, error: &Client, reason: &str) {
        let code = error.rdkafka_error_code();
        match (code, named(reason)) {
            // The end of a partition is no error, though it comes as one.
            (Some(RDKafkaErrorCode::PartitionEOF), _) => {}
            // Each of them was told of.
            (Some(RDKafkaErrorCode::AllBrokersDown), _) => tracing::debug!(%error, reason, "kafka"),
            (_, Some(name)) => {
                tracing::debug!(%error, reason, "kafka");
                self.gone(name, reason);
            }
            (_, None) => tracing::warn!(%error, reason, "kafka"),
        }
    }

    fn gone(&self, name: Name<'_>, reason: &str) {
        let mut state = self.state();
        let address = match name {
            Name::FirstAddress(_) if state.learned => return,
            Name::FirstAddress(address) | Name::Address(address) => address.to_owned(),
            Name::Role(role) => state.roles.get(role).cloned().unwrap_or_else(|| role.to_owned()),
        };
        if state.away.contains_key(&address) {
            return;
        }
        let unanswered = state.unanswered.take();
        state.away.insert(address.clone(), unanswered.map_or_else(Instant::now, |it| it.since));
        if !unanswered.is_some_and(|it| it.told) {
            tracing::warn!(broker = address, reason, "a broker is away; the client goes on trying");
        }
    }

    /// A question was not answered. Told of where that lasts and no broker is known to be away.
    pub(crate) fn unanswered(&self, why: &dyn std::fmt::Display) {
        let mut state = self.state();
        tracing::debug!(reason = %why, "a question is not answered");
        if !state.away.is_empty() {
            return;
        }
        let unanswered =
            state.unanswered.get_or_insert_with(|| Unanswered { since: Instant::now(), told: false });
        if !unanswered.told && unanswered.since.elapsed() >= PASSES {
            unanswered.told = true;
            tracing::warn!(reason = %why, "the brokers do not answer; they are asked again");
        }
    }

    /// A question was answered.
    pub(crate) fn answered(&self) {
        if let Some(Unanswered { since, told: true }) = self.state().unanswered.take() {
            tracing::info!(away_s = since.elapsed().as_secs(), "the brokers answer again");
        }
    }

    /// The client's statistics say to whom it is connected.
    pub(crate) fn told(&self, statistics: &Statistics) {
        let mut state = self.state();
        let brokers = || statistics.brokers.values();
        state.learned |= brokers().any(|broker| broker.nodeid >= 0 && broker.source == "learned");
        for broker in brokers().filter(|broker| broker.source == "logical" && !broker.nodename.is_empty()) {
            let role = broker.name.split('/').next().unwrap_or_default();
            state.roles.insert(role.to_owned(), broker.nodename.clone());
        }
        let back = |address: &String, since: &Instant| {
            brokers().any(|broker| {
                // Statistics whose connection is older than the loss were put together before it was known.
                let connected = Duration::from_micros(u64::try_from(broker.stateage).unwrap_or(0));
                let name = broker.name.split('/').next().unwrap_or_default();
                broker.state == "UP"
                    && (broker.nodename == *address || name == address)
                    && connected < since.elapsed()
            })
        };
        state.away.retain(|address, since| {
            let back = back(address, since);
            if back {
                tracing::info!(broker = address, away_s = since.elapsed().as_secs(), "the broker is back");
            }
            !back
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who an error is about.
#[derive(Debug, PartialEq, Eq)]
enum Name<'a> {
    Address(&'a str),
    /// An address that the client was given to start from.
    FirstAddress(&'a str),
    Role(&'a str),
}

/// The client begins with the broker's name: `host:port/number: what is wrong`.
fn named(reason: &str) -> Option<Name<'_>> {
    let (name, rest) = reason.split_once(": ")?;
    if name.contains(char::is_whitespace) {
        return None;
    }
    match name.split_once('/') {
        Some((address, "bootstrap")) => Some(Name::FirstAddress(address)),
        Some((address, _)) if address.contains(':') => Some(Name::Address(address)),
        Some((role, _)) => Some(Name::Role(role)),
        None if name == "GroupCoordinator" || name == "TxnCoordinator" => {
            // Where it could not connect, it says to what.
            let to = rest.split_once(": ").map(|(to, _)| to);
            let to = to.filter(|to| to.contains(':') && !to.contains(char::is_whitespace));
            Some(to.map_or(Name::Role(name), Name::Address))
        }
        None => None,
    }
}

/// A client whose log lines are this process's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Logged {
    pub(crate) brokers: Arc<Brokers>,
}

/// Has a client with a field `brokers` tell its log lines, its troubles and its statistics as all of ours do. `more` names a method that
/// takes in what else is wanted of the statistics.
macro_rules! client_context {
    ($context:ty $(, $more:ident)?) => {
        impl rdkafka::client::ClientContext for $context {
            fn log(&self, level: rdkafka::config::RDKafkaLogLevel, fac: &str, line: &str) {
                $crate::brokers::log(level, fac, line);
            }

            fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
                self.brokers.wrong(&error, reason);
            }

            fn stats(&self, statistics: rdkafka::statistics::Statistics) {
                self.brokers.told(&statistics);
                $(self.$more(statistics);)?
            }
        }
    };
}
pub(crate) use client_context;

client_context!(Logged);

impl ConsumerContext for Logged {}

/// Logs a line of the client.
pub(crate) fn log(level: RDKafkaLogLevel, fac: &str, line: &str) {
    match level {
        _ if TOLD_OTHERWISE.contains(&fac) => tracing::debug!(fac, line, "kafka"),
        RDKafkaLogLevel::Debug => tracing::debug!(fac, line, "kafka"),
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => tracing::info!(fac, line, "kafka"),
        RDKafkaLogLevel::Warning => tracing::warn!(fac, line, "kafka"),
        _ => tracing::error!(fac, line, "kafka"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::statistics::Broker;

    const REFUSED: &str = "10.0.0.1:9092/1: Connect to ipv4#10.0.0.1:9092 failed: Connection refused";

    fn lost() -> Client {
        Client::Global(RDKafkaErrorCode::BrokerTransportFailure)
    }

    fn statistics(name: &str, nodename: &str, state: &str, age: Duration) -> Statistics {
        let broker = Broker {
            name: name.into(),
            nodename: nodename.into(),
            nodeid: 1,
            source: if name.contains(':') { "learned" } else { "logical" }.into(),
            state: state.into(),
            stateage: i64::try_from(age.as_micros()).unwrap(),
            ..Broker::default()
        };
        Statistics { brokers: [(name.to_owned(), broker)].into(), ..Statistics::default() }
    }

    fn away(brokers: &Brokers) -> Vec<String> {
        brokers.state().away.keys().cloned().collect()
    }

    #[test]
    fn errors_name_their_broker() {
        assert_eq!(named(REFUSED), Some(Name::Address("10.0.0.1:9092")));
        assert_eq!(named("[::1]:9092/bootstrap: Disconnected"), Some(Name::FirstAddress("[::1]:9092")));
        assert_eq!(named("GroupCoordinator/1: Disconnected"), Some(Name::Role("GroupCoordinator")));
        assert_eq!(named("GroupCoordinator: Disconnected"), Some(Name::Role("GroupCoordinator")));
        let refused =
            "GroupCoordinator: 10.0.0.1:9092: Connect to ipv4#10.0.0.1:9092 failed: Connection refused";
        assert_eq!(named(refused), Some(Name::Address("10.0.0.1:9092")));
        for no_broker in
            ["1/1 brokers are down", "FindCoordinator response error: Group authorization failed"]
        {
            assert_eq!(named(no_broker), None, "{no_broker}");
        }
    }

    #[test]
    fn a_broker_is_away_until_it_was_connected_to_since() {
        let brokers = Brokers::default();
        let up = |age| statistics("10.0.0.1:9092/1", "10.0.0.1:9092", "UP", age);
        brokers.told(&up(Duration::from_secs(60)));
        brokers.wrong(&lost(), REFUSED);
        brokers.wrong(&lost(), REFUSED);
        brokers.wrong(&Client::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        brokers.unanswered(&"timed out");
        assert_eq!(away(&brokers), ["10.0.0.1:9092"]);
        // Told before the loss was.
        brokers.told(&up(Duration::from_secs(60)));
        brokers.told(&statistics("10.0.0.1:9092/1", "10.0.0.1:9092", "CONNECT", Duration::ZERO));
        brokers.answered();
        assert_eq!(away(&brokers), ["10.0.0.1:9092"]);
        brokers.told(&up(Duration::ZERO));
        assert!(away(&brokers).is_empty());
    }

    #[test]
    fn one_broker_under_several_names_is_one() {
        let brokers = Brokers::default();
        brokers.told(&statistics("10.0.0.1:9092/1", "10.0.0.1:9092", "UP", Duration::ZERO));
        brokers.told(&statistics("GroupCoordinator", "10.0.0.1:9092", "UP", Duration::ZERO));
        brokers.wrong(&lost(), "GroupCoordinator/1: Disconnected while requesting ApiVersion");
        brokers.wrong(&lost(), "kafka.example:9092/bootstrap: Disconnected");
        brokers.wrong(&lost(), REFUSED);
        assert_eq!(away(&brokers), ["10.0.0.1:9092"]);
    }

    #[test]
    fn questions_without_an_answer_are_told_of_once_and_where_it_lasts() {
        let told = |brokers: &Brokers| brokers.state().unanswered.map(|it| it.told);
        let brokers = Brokers::default();
        brokers.unanswered(&"fenced leader epoch");
        assert_eq!(told(&brokers), Some(false));
        brokers.answered();
        assert_eq!(told(&brokers), None);
        brokers.unanswered(&"timed out");
        let began = Instant::now().checked_sub(PASSES).unwrap();
        brokers.state().unanswered.as_mut().unwrap().since = began;
        brokers.unanswered(&"timed out");
        brokers.unanswered(&"timed out");
        assert_eq!(told(&brokers), Some(true));
        brokers.wrong(&lost(), REFUSED);
        assert_eq!(away(&brokers), ["10.0.0.1:9092"]);
        assert_eq!(brokers.state().away["10.0.0.1:9092"], began, "the same outage, with its reason");
        assert_eq!(told(&brokers), None);
        brokers.answered();
        assert_eq!(away(&brokers), ["10.0.0.1:9092"]);
    }
}
