//! `gridtrail anomaly answer`: a Quarantined Communications Action File becomes an event, accepted or refused.

use super::narrowed;
use crate::admitted::Call;
use crate::args::{AnomalyAnswerArgs, Format};
use crate::exit::Failure;
use crate::{output, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gridtrail_access::Access;
use gridtrail_anomaly::{
    Action, ActionFile, ActionsRefused, AnomalyEvent, AnomalyFact, AnomalyStatement, Breach, Faults,
    FileHash, Origin, QuarantinedCommunication, is_validated_late, reason,
};
use gridtrail_ingest::{Maker, ingest_told_anomaly};
use gridtrail_lake::Lake;
use gridtrail_model::{RequestId, Timestamp, UserId};
use gridtrail_saml::{SigningCertificate, TrustAnchors};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::io;

const HOUR_MS: i64 = 3_600_000;

/// How long after its receipt a file may be judged, at most: communications count as they were then. It should be sooner by far
/// ([`is_validated_late`]), but what came in time is not to be refused for that.
const JUDGED_WITHIN_MS: i64 = 120 * HOUR_MS;

/// What became of a file.
#[derive(Debug, Serialize)]
struct Answered {
    accepted: bool,
    file_sha256: String,
    user_id: String,
    incident_reference: Option<String>,
    /// Communications that are to be released, and to be deleted.
    release: usize,
    delete: usize,
    /// Whether the file concerns a threshold of the DCC and was judged more than 24 hours after its receipt.
    late: bool,
    /// Whether this answer was on record already.
    known: bool,
    /// What is wrong with it, by line; 0 is the file as a whole.
    faults: Vec<Fault>,
}

#[derive(Debug, Serialize)]
struct Fault {
    line: u32,
    reason: String,
}

pub(super) async fn run(
    args: &AnomalyAnswerArgs,
    (lake, who): (&Lake, &Access),
    (call, format): (&mut Call, Format),
) -> Result<(), Failure> {
    (call.entry.key_kind, call.entry.key) = (Some("user_id".into()), Some(args.user_id.to_string()));
    let now = lake.clock().now();
    let received_at = args.received_at.unwrap_or(now);
    if received_at > now || received_at.plus_millis(JUDGED_WITHIN_MS) < now {
        let reason = format!("a file is judged within 120 hours of its receipt, and now it is {now}");
        return Err(Failure::Argument { argument: "--received-at", reason });
    }
    let who = narrowed(who, &[args.user_id].into())?;
    let file = text::bytes(&args.file)?;
    let signer = Signer::of(args)?;
    // As it was when the file came.
    let (held, _) = lake.snapshot().quarantined_or_archived(&who, received_at).await?;
    let judged = judge(args, (&file, &signer), &held, (received_at, now));
    call.entry.detail = Some(judged.detail(args));
    let known = judged.stands(&held) || record(args, lake, &judged, (received_at, now)).await?;
    let answered = judged.told(args, &held, (received_at, now), known);
    if answered.late {
        tracing::warn!(%received_at, "a file about a threshold of the DCC was validated more than 24 hours after its receipt");
    }
    write(&answered, format)?;
    if answered.accepted {
        return Ok(());
    }
    Err(Failure::AnswerRefused { faults: answered.faults.len() as u64 })
}

/// Who signed a file, and whom to believe.
struct Signer {
    signature: Vec<u8>,
    certificate: Vec<u8>,
    anchors: TrustAnchors,
}

impl Signer {
    fn of(args: &AnomalyAnswerArgs) -> Result<Self, Failure> {
        let between = args.intermediates.as_deref().map(text::bytes).transpose()?.unwrap_or_default();
        let (anchors, revoked) = (text::bytes(&args.anchors)?, text::bytes(&args.revoked)?);
        let anchors = TrustAnchors::new(&anchors, &between, &revoked).map_err(|error| Failure::Argument {
            argument: "--anchors, --intermediates, --revoked",
            reason: error.to_string(),
        })?;
        let signature = signature_of(text::bytes(&args.signature)?);
        Ok(Self { signature, certificate: text::bytes(&args.certificate)?, anchors })
    }

    /// Whether the file is signed by a valid File Signing Certificate of the User. Errors: why not.
    fn verify(&self, file: &[u8], user: UserId, at: Timestamp) -> Result<(), String> {
        let certificate = SigningCertificate::from_file(&self.certificate)
            .map_err(|error| format!("The certificate is not accepted: {error}."))?;
        self.anchors
            .check(&certificate, at)
            .map_err(|error| format!("The certificate is not accepted: {error}."))?;
        let of = certificate.subject_serial_number().and_then(|text| text.parse::<UserId>().ok());
        if of != Some(user) {
            return Err(format!("The certificate is not a File Signing Certificate of {user}."));
        }
        if certificate.signed(file, &self.signature) {
            return Ok(());
        }
        Err("The signature is not one of the file by the key of the certificate.".to_owned())
    }
}

/// A signature in base64, in lines or not; any other bytes are one as they are.
fn signature_of(bytes: Vec<u8>) -> Vec<u8> {
    let text: Vec<u8> = bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(text).unwrap_or(bytes)
}

/// What a file comes to.
struct Judged {
    hash: FileHash,
    facts: Vec<AnomalyFact>,
    faults: Faults,
}

/// The signature and the chain come first: of a file that nobody vouches for no line is read.
fn judge(
    args: &AnomalyAnswerArgs,
    (file, signer): (&[u8], &Signer),
    held: &[QuarantinedCommunication],
    (received_at, now): (Timestamp, Timestamp),
) -> Judged {
    let hash = FileHash::from_bytes(Sha256::digest(file).into());
    let read = || {
        signer.verify(file, args.user_id, received_at).map_err(|why| vec![(0, reason(&why))])?;
        let text = std::str::from_utf8(file).map_err(|_| vec![(0, reason(&"The file is not UTF-8."))])?;
        ActionFile { text, hash, incident: args.incident.as_ref() }.read(held, now)
    };
    match read() {
        Ok(accepted) => {
            let facts = accepted.into_iter().map(AnomalyFact::ActionsAccepted).collect();
            Judged { hash, facts, faults: Faults::new() }
        }
        Err(faults) => {
            let refused = ActionsRefused::new(args.incident.clone(), now, Some(hash), faults.clone());
            // There is a fault, and no more than are told.
            let facts = refused.into_iter().map(AnomalyFact::ActionsRefused).collect();
            Judged { hash, facts, faults }
        }
    }
}

/// Puts what became of a file on record. A refusal is there once, however often the file comes and is refused for the same reasons. An acceptance
/// is there once for each time when the file was received, for it may take the place of another that came meanwhile. Returns whether it was there already.
async fn record(
    args: &AnomalyAnswerArgs,
    lake: &Lake,
    judged: &Judged,
    (received_at, now): (Timestamp, Timestamp),
) -> Result<bool, Failure> {
    let mut outcome = Sha256::new();
    outcome.update(args.user_id.to_bytes());
    outcome.update(args.incident.as_ref().map(|incident| incident.as_str()).unwrap_or_default());
    outcome.update(judged.hash.to_bytes());
    if judged.faults.is_empty() {
        outcome.update(received_at.millis().to_be_bytes());
    }
    for (line, why) in &judged.faults {
        outcome.update(line.to_be_bytes());
        outcome.update(why.as_str());
    }
    let id = hex::encode(&outcome.finalize()[..16]);
    let event = |(part, fact): (usize, &AnomalyFact)| {
        let told = AnomalyStatement::Fact { at: received_at, corrects: None, fact: fact.clone() };
        let id = format!("answer-{id}-{part}").parse().ok()?;
        Some(AnomalyEvent { recorded_at: now, id, origin: Origin::Anomaly, about: Some(args.user_id), told })
    };
    let events: Vec<AnomalyEvent> = judged.facts.iter().enumerate().filter_map(event).collect();
    let maker = Maker { id: format!("answer:{id}"), name: args.file.display().to_string() };
    let taken = ingest_told_anomaly(lake, &maker, events.into_iter()).await?;
    Ok(taken.outcome.stored == 0)
}

impl Judged {
    /// What the file says.
    fn actions(&self) -> impl Iterator<Item = &(RequestId, Action)> {
        self.facts.iter().flat_map(|fact| match fact {
            AnomalyFact::ActionsAccepted(accepted) => accepted.actions(),
            _ => &[],
        })
    }

    /// Whether it is this very file that the last answer for each of its communications came from: one that comes again says nothing new, and one
    /// that comes again after another does.
    fn stands(&self, held: &[QuarantinedCommunication]) -> bool {
        let standing: HashSet<RequestId> = held
            .iter()
            .filter(|of| of.answer.is_some_and(|answer| answer.file == Some(self.hash)))
            .map(QuarantinedCommunication::request_id)
            .collect();
        self.faults.is_empty() && self.actions().all(|(id, _)| standing.contains(id))
    }

    /// What the access log says of it.
    fn detail(&self, args: &AnomalyAnswerArgs) -> String {
        let outcome = if self.faults.is_empty() { "accepted" } else { "refused" };
        let incident = args.incident.as_ref().map_or("none", |incident| incident.as_str());
        format!("{outcome}: file {}, Incident {incident}", self.hash)
    }

    fn told(
        &self,
        args: &AnomalyAnswerArgs,
        held: &[QuarantinedCommunication],
        (received_at, now): (Timestamp, Timestamp),
        known: bool,
    ) -> Answered {
        let many = |what: Action| self.actions().filter(|(_, action)| *action == what).count();
        let of_dcc = held.iter().any(|of| {
            of.quarantined.breach == Breach::DccThreshold && of.quarantined.incident == args.incident
        });
        let fault = |(line, reason): &(u32, gridtrail_anomaly::Reason)| Fault {
            line: *line,
            reason: reason.to_string(),
        };
        Answered {
            accepted: self.faults.is_empty(),
            file_sha256: self.hash.to_string(),
            user_id: args.user_id.to_string(),
            incident_reference: args.incident.as_ref().map(ToString::to_string),
            release: many(Action::Release),
            delete: many(Action::Delete),
            late: of_dcc && is_validated_late(received_at, now),
            known,
            faults: self.faults.iter().map(fault).collect(),
        }
    }
}

fn write(answered: &Answered, format: Format) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if format == Format::Json {
        return output::write_json(&mut out, answered);
    }
    let mut text = String::new();
    for Fault { line, reason } in &answered.faults {
        let place = if *line == 0 { "file".to_owned() } else { format!("line {line}") };
        text.push_str(&format!("{place}: {}\n", output::printable(reason)));
    }
    let known = if answered.known { ", as is on record already" } else { "" };
    text.push_str(&if answered.accepted {
        format!("accepted{known}: {} to release, {} to delete\n", answered.release, answered.delete)
    } else {
        format!("refused, all of it{known}\n")
    });
    output::write(&mut out, text.as_bytes())
}

#[cfg(test)]
mod tests;
