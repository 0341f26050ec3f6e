//! Files that are accepted, forged, expired, revoked, or of another: and what is on record then.

use super::*;
use crate::args::{AnomalyCommand, LakeCallerArgs, ListFormat};
use gridtrail_access::{AccessEvent, AccessRecord, Assignment, Bearer, DevKey, JobTypeRole, OrgId, Sharing};
use gridtrail_access_log::RowKind;
use gridtrail_anomaly::Quarantined;
use gridtrail_lake::{Batch, LakeSettings, SourceEvidence};
use gridtrail_model::{DeviceId, RequestId};
use gridtrail_reports::{Catalogue, Output, OutputFormat};
use gridtrail_runtime::Clock;
use gridtrail_saml::fake::key_infrastructure::{Key, KeyInfrastructure, Signer as KeySigner};
use gridtrail_sql::SqlLimits;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const USER: &str = "90-B3-D5-1F-30-02-00-00";

fn user() -> UserId {
    USER.parse().unwrap()
}

fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

fn request() -> RequestId {
    RequestId { originator: user(), target: DeviceId::from_bytes([7; 8]), counter: 7 }
}

fn held(breach: Breach, at: Timestamp) -> AnomalyEvent {
    let of = Quarantined {
        request_id: request(),
        command_variant: None,
        variant: None,
        device: None,
        mpxn: None,
        received_at: None,
        breach,
        event_ref: "7".parse().unwrap(),
        incident: "INC1".parse().ok(),
        dcc_alert: None,
    };
    let told = AnomalyStatement::Fact { at, corrects: None, fact: AnomalyFact::Quarantined(of) };
    AnomalyEvent {
        recorded_at: at,
        id: "q".parse().unwrap(),
        origin: Origin::Anomaly,
        about: Some(user()),
        told,
    }
}

/// A lake with one quarantined communication, and somebody who may see it.
async fn lake() -> (Lake, Access) {
    lake_with(vec![held(Breach::UserThreshold, now().plus_millis(-HOUR_MS))]).await
}

async fn lake_with(anomaly: Vec<AnomalyEvent>) -> (Lake, Access) {
    lake_by(Clock::manual(now()), anomaly).await
}

async fn lake_by(clock: Clock, anomaly: Vec<AnomalyEvent>) -> (Lake, Access) {
    let lake = Lake::open(LakeSettings::at("memory:///answers"), clock).await.unwrap();
    let source =
        SourceEvidence { source: "file:q".to_owned(), first: true, to: 1, ..SourceEvidence::default() };
    let batch = Batch { anomaly, sources: vec![source], ..Batch::default() };
    lake.writer().await.unwrap().commit(batch).await.unwrap();
    (lake, DevKey::generate().unwrap().access(&claims()).unwrap())
}

fn claims() -> Bearer {
    Bearer {
        subject: "tester".to_owned(),
        party: "region".parse().unwrap(),
        org_id: OrgId::All,
        user_ids: [user()].into(),
        roles: JobTypeRole::new(1).into_iter().collect(),
        valid_from: now(),
        expires_at: now().plus_millis(HOUR_MS),
    }
}

/// The files of an answer.
struct Desk {
    folder: tempfile::TempDir,
    keys: KeyInfrastructure,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), keys: KeyInfrastructure::new() }
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// A file that nobody else may read.
    fn put_private(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.put(name, bytes);
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        path
    }

    fn signer(&self, of: &str, change: impl FnOnce(&mut rcgen::CertificateParams)) -> KeySigner {
        self.keys.issue(Key::P256, |params| {
            params.distinguished_name.push(rcgen::DnType::CustomDnType(vec![2, 5, 4, 5]), of);
            change(params);
        })
    }

    /// The arguments of an answer that this signer signed.
    fn args(&self, text: &str, signer: &KeySigner, revoked: &[u64]) -> AnomalyAnswerArgs {
        let lists = self.keys.root_list(&[]) + &self.keys.list(revoked, 2027);
        AnomalyAnswerArgs {
            file: self.put("actions.csv", text),
            caller: LakeCallerArgs {
                lake: "memory:///answers".to_owned(),
                credential: crate::args::Credential { token: None, token_file: None },
                key: Path::new("none").to_owned(),
                job_type_roles: None,
                access_lapse: "24h".parse().unwrap(),
            },
            user_id: user(),
            incident: "INC1".parse().ok(),
            received_at: None,
            signature: self.put("actions.csv.sig", STANDARD.encode(signer.sign_file(text.as_bytes()))),
            certificate: self.put("signer.der", signer.certificate.der()),
            anchors: self.put("anchors.pem", self.keys.root_pem()),
            intermediates: Some(self.put("issuing.pem", self.keys.issuing_pem())),
            revoked: self.put("revoked.pem", lists),
        }
    }
}

fn text(action: &str) -> String {
    format!("request_id,action\n{},{action}\n", request())
}

/// As the command answers, without a record.
async fn run(args: &AnomalyAnswerArgs, (lake, who): (&Lake, &Access), format: Format) -> Result<(), Failure> {
    let mut call = Call::begin(None, "test", (lake, who))?;
    super::run(args, (lake, who), (&mut call, format)).await
}

/// What is on record: the actions that were accepted, and the reasons of what was refused.
async fn on_record(lake: &Lake, who: &Access) -> (Vec<Action>, u64) {
    let (held, _) = lake.snapshot().quarantined(who, now()).await.unwrap();
    let answers = held.iter().flat_map(|(_, all)| all).filter_map(|of| of.answer).map(|answer| answer.action);
    let answers = answers.collect();
    let mut stored = 0;
    lake.evidence(|commit| {
        for evidence in commit.sources {
            if let gridtrail_lake::Evidence::Whole(evidence) = evidence {
                stored += evidence.stored;
            }
        }
    })
    .await
    .unwrap();
    (answers, stored)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_answer_is_on_record_once() {
    let (desk, (lake, who)) = (Desk::new(), lake().await);
    let signer = desk.signer(USER, |_| {});
    let args = desk.args(&text("Release"), &signer, &[]);
    run(&args, (&lake, &who), Format::Json).await.unwrap();
    assert_eq!(on_record(&lake, &who).await, (vec![Action::Release], 1));
    run(&args, (&lake, &who), Format::Table).await.unwrap();
    assert_eq!(on_record(&lake, &who).await, (vec![Action::Release], 1));
    assert_eq!(lake.snapshot().complete_up_to(), None, "an answer says nothing of what else has come");
}

/// A User may think again, and again: the last answer counts, and a file that comes again after another is no repeat.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_again_after_another_takes_its_place() {
    let clock = Clock::manual(now());
    let held = held(Breach::UserThreshold, now().plus_millis(-HOUR_MS));
    let (desk, (lake, who)) = (Desk::new(), lake_by(clock.clone(), vec![held]).await);
    let signer = desk.signer(USER, |_| {});
    let mut stored = 0;
    let mut answered = async |action: &str, received_at: Option<Timestamp>, adds: u64| {
        clock.advance(60_000);
        let args = AnomalyAnswerArgs { received_at, ..desk.args(&text(action), &signer, &[]) };
        run(&args, (&lake, &who), Format::Json).await.unwrap();
        let (held, _) = lake.snapshot().quarantined(&who, lake.clock().now()).await.unwrap();
        let (_, now_stored) = on_record(&lake, &who).await;
        assert_eq!(now_stored - stored, adds, "{action}");
        stored = now_stored;
        held[0].1[0].answer.unwrap().action
    };
    for (action, adds) in [("Release", 1), ("Delete", 1), ("Release", 1), ("Release", 0), ("Delete", 1)] {
        assert_eq!(answered(action, None, adds).await.as_str(), action);
    }
    // What had come before them, and is told only now, is on record and changes nothing; once.
    for adds in [1, 0] {
        assert_eq!(answered("Delete", Some(now()), adds).await, Action::Delete);
    }
    let between = now().plus_millis(90_000);
    assert_eq!(answered("Release", Some(between), 0).await, Action::Delete);
}

/// Each is refused with its reason on record, and no line of it is read: the lines of all of them are wrong, too.
#[tokio::test(flavor = "multi_thread")]
async fn forged_expired_revoked_and_foreign_answers_are_refused_before_a_line_is_read() {
    let (desk, (lake, who)) = (Desk::new(), lake().await);
    let text = text("Burn");
    let refused = async |args: AnomalyAnswerArgs, part: &str| {
        let signer = Signer::of(&args).unwrap();
        let judged = judge(&args, (text.as_bytes(), &signer), &[], (now(), now()));
        let [(0, why)] = judged.faults.as_slice() else { panic!("{part}: {:?}", judged.faults) };
        assert!(why.as_str().contains(part), "{part}: {why}");
        let error = run(&args, (&lake, &who), Format::Table).await.unwrap_err();
        assert!(matches!(error, Failure::AnswerRefused { faults: 1 }), "{part}: {error}");
    };
    let good = desk.signer(USER, |_| {});
    let of_another = desk.signer("90-B3-D5-1F-30-02-00-01", |_| {});
    let mut forged = desk.args(&text, &good, &[]);
    forged.signature = desk.put("forged.sig", of_another.sign_file(text.as_bytes()));
    refused(forged, "signature is not one").await;
    let expired = desk.signer(USER, |params| params.not_after = rcgen::date_time_ymd(2026, 5, 1));
    refused(desk.args(&text, &expired, &[]), "has expired").await;
    let early = desk.signer(USER, |params| params.not_before = rcgen::date_time_ymd(2026, 7, 1));
    refused(desk.args(&text, &early, &[]), "not yet valid").await;
    refused(desk.args(&text, &good, &[good.serial]), "was revoked").await;
    refused(desk.args(&text, &of_another, &[]), "not a File Signing Certificate of").await;
    let of_nobody = desk.keys.issue(Key::P256, |_| {});
    refused(desk.args(&text, &of_nobody, &[]), "not a File Signing Certificate of").await;
    let foreign = Desk::new().signer(USER, |_| {});
    refused(desk.args(&text, &foreign, &[]), "not accepted").await;
    refused(desk.args(&text, &desk.keys.issue_self_signed(), &[]), "not accepted").await;
    let (answers, stored) = on_record(&lake, &who).await;
    // One reason was given twice for the same file, and two others are worded alike.
    assert!(answers.is_empty() && stored >= 5, "{stored} refusals");
}

/// What came in time is judged as things were then; where the threshold is the DCC's, it is told that it took too long.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_judged_as_of_its_receipt_and_it_is_told_where_that_was_late() {
    let advised = AnomalyFact::Advised("INC1".parse().unwrap(), gridtrail_anomaly::Advice::UserDecides);
    let hours = |hours: i64| now().plus_millis(hours * HOUR_MS);
    let at = hours(-129);
    let told = AnomalyStatement::Fact { at, corrects: None, fact: advised };
    let advice = AnomalyEvent { told, id: "a".parse().unwrap(), ..held(Breach::DccThreshold, at) };
    let (desk, (lake, who)) =
        (Desk::new(), lake_with(vec![held(Breach::DccThreshold, hours(-130)), advice]).await);
    let signer = desk.signer(USER, |_| {});
    let args = |received_at| AnomalyAnswerArgs { received_at, ..desk.args(&text("Release"), &signer, &[]) };
    // Its 120 hours are over now, and were not when the file came.
    assert!(matches!(
        run(&args(None), (&lake, &who), Format::Json).await,
        Err(Failure::AnswerRefused { faults: 1 })
    ));
    let (refused, _) = lake.snapshot().refused_answers(&who, now()).await.unwrap();
    let [(2, why)] = refused[0].1[0].1.faults() else { panic!("{refused:?}") };
    assert_eq!(why.as_str(), format!("The 120 hours of {} were over at {}.", request(), hours(-10)));
    let received_at = hours(-25);
    run(&args(Some(received_at)), (&lake, &who), Format::Json).await.unwrap();
    let (held, _) = lake.snapshot().quarantined(&who, received_at).await.unwrap();
    let held: Vec<QuarantinedCommunication> = held.into_iter().flat_map(|(_, all)| all).collect();
    let answer = held[0].answer.unwrap();
    assert_eq!((answer.action, answer.received_at), (Action::Release, received_at));
    let judged = Judged { hash: FileHash::from_bytes([0; 32]), facts: Vec::new(), faults: Faults::new() };
    for (received_at, late) in [(hours(-25), true), (hours(-24), false)] {
        let told = judged.told(&args(None), &held, (received_at, now()), false);
        assert_eq!(told.late, late, "{received_at}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_wrong_is_refused_whole_and_the_reason_is_on_record() {
    let (desk, (lake, who)) = (Desk::new(), lake().await);
    let signer = desk.signer(USER, |_| {});
    let args = desk.args(&text("release"), &signer, &[]);
    let refused = run(&args, (&lake, &who), Format::Json).await.unwrap_err();
    assert!(matches!(refused, Failure::AnswerRefused { .. }), "{refused}");
    assert_eq!(on_record(&lake, &who).await, (vec![], 1));
    let (refused, _) = lake.snapshot().refused_answers(&who, now()).await.unwrap();
    let [(of, told)] = refused.as_slice() else { panic!("{refused:?}") };
    let [(received_at, told)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!((*of, *received_at, told.faults()[0].0), (user(), now(), 2));
    let told: Vec<String> = told.faults().iter().map(|(line, why)| format!("{line}: {why}")).collect();
    assert!(told.contains(&"2: The action is neither Release nor Delete.".to_owned()), "{told:?}");
    let again = run(&args, (&lake, &who), Format::Json).await.unwrap_err();
    assert!(matches!(again, Failure::AnswerRefused { .. }), "{again}");
    assert_eq!(on_record(&lake, &who).await, (vec![], 1), "the same refusal is told once");
    // Mended, it is accepted.
    let mended = desk.args(&text("Delete"), &signer, &[]);
    run(&mended, (&lake, &who), Format::Json).await.unwrap();
    assert_eq!(on_record(&lake, &who).await, (vec![Action::Delete], 2));
    let without = AnomalyAnswerArgs { incident: None, ..desk.args(&text("Delete"), &signer, &[]) };
    assert!(matches!(
        run(&without, (&lake, &who), Format::Json).await,
        Err(Failure::AnswerRefused { faults: 1 })
    ));
    for received_at in [now().plus_millis(1), now().plus_millis(-121 * HOUR_MS)] {
        let args =
            AnomalyAnswerArgs { received_at: Some(received_at), ..desk.args(&text("Delete"), &signer, &[]) };
        assert!(matches!(run(&args, (&lake, &who), Format::Json).await, Err(Failure::Argument { .. })));
    }
}

/// Who asked for what, of whom, and how it ended; also where it was refused.
#[tokio::test(flavor = "multi_thread")]
async fn the_commands_are_in_the_access_log() {
    let (desk, signed) = (Desk::new(), text("Release"));
    let (key, now) = (DevKey::generate().unwrap(), Clock::system().now());
    let claims = Bearer { valid_from: now, expires_at: now.plus_millis(HOUR_MS), ..claims() };
    let address = desk.folder.path().join("lake").display().to_string();
    let lake = crate::opening::open_lake(&address).await.unwrap();
    let to =
        Assignment { party: claims.party.clone(), role: gridtrail_model::UserRole::IS, descriptor: None };
    let event = AccessEvent::Assigned { user_id: user(), to: Some(to), from: Timestamp::MIN };
    let access = vec![AccessRecord { id: "assigned".parse().unwrap(), recorded_at: now, event }];
    lake.writer().await.unwrap().tell(access).await.unwrap();
    let caller = || LakeCallerArgs {
        lake: address.clone(),
        credential: crate::args::Credential { token: key.mint(&claims).ok(), token_file: None },
        key: desk.put_private("key.pem", key.to_pem()),
        job_type_roles: None,
        access_lapse: "24h".parse().unwrap(),
    };
    let check = |id: UserId| {
        AnomalyCommand::Check(Box::new(crate::args::AnomalyCheckArgs {
            reader: crate::args::LakeReaderArgs { caller: caller(), read_only: false, access_log_lake: None },
            user_ids: vec![id],
            from: None,
            to: None,
            parts: std::num::NonZeroU32::MIN,
        }))
    };
    let other: UserId = "90-B3-D5-1F-30-02-00-01".parse().unwrap();
    let args = desk.args(&signed, &desk.signer(USER, |_| {}), &[]);
    let answer = AnomalyCommand::Answer(Box::new(AnomalyAnswerArgs { caller: caller(), ..args }));
    let run = async |command| Box::pin(crate::anomaly::run(&command, ListFormat::Json)).await;
    run(check(user())).await.unwrap();
    assert!(matches!(run(check(other)).await, Err(Failure::Report(_))));
    // Nothing is quarantined.
    assert!(matches!(run(answer).await, Err(Failure::AnswerRefused { faults: 1 })));
    lake.refresh().await.unwrap();
    let mut reader = lake.read_access_log(None, None).await.unwrap();
    let mut told = Vec::new();
    while let Some(rows) = reader.next().await.unwrap() {
        for entry in rows.into_iter().filter(|row| row.kind == RowKind::Call).map(|row| row.entry) {
            assert_eq!(
                (entry.subject.as_deref(), entry.key_kind.as_deref()),
                (Some("tester"), Some("user_id"))
            );
            let detail = entry.detail.unwrap_or_default();
            told.push(format!("{} {} {} {detail}", entry.call, entry.outcome, entry.key.unwrap_or_default()));
        }
    }
    let refused =
        format!("refused: file {}, Incident INC1", FileHash::from_bytes(Sha256::digest(&signed).into()));
    assert_eq!(
        told,
        [
            format!("anomaly check OK {USER} "),
            format!("anomaly check NOT_FOUND {other} "),
            format!("anomaly answer FAILED_PRECONDITION {USER} {refused}"),
        ]
    );
}

/// What a User gets of the Quarantined Requests Report in the form of Appendix AA, fills in and signs, is an answer.
#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_the_report_is_filled_in_signed_and_accepted() {
    let of = |counter: u64, incident: &str| {
        let mut event = held(Breach::UserThreshold, now().plus_millis(-HOUR_MS));
        event.id = format!("q-{counter}").parse().unwrap();
        if let AnomalyStatement::Fact { fact: AnomalyFact::Quarantined(of), .. } = &mut event.told {
            (of.request_id.counter, of.incident) = (counter, incident.parse().ok());
            of.dcc_alert = Some(gridtrail_model::ResponseId::mirror_of(&of.request_id));
        }
        event
    };
    let (desk, (lake, who)) =
        (Desk::new(), lake_with(vec![of(1, "INC1"), of(2, "INC1"), of(3, "INC2")]).await);
    let list = answer_list((&lake, &who), "INC1").await;
    let fill = |(number, line): (usize, &str)| match number {
        0 => line.to_owned(),
        1 => format!("{line}Release"),
        _ => format!("{line}Delete"),
    };
    let filled: Vec<String> = list.split_terminator("\r\n").enumerate().map(fill).collect();
    assert_eq!(filled.len(), 3, "{list}");
    // As it was got, it says of nothing what is to be done.
    let signer = desk.signer(USER, |_| {});
    let empty = run(&desk.args(&list, &signer, &[]), (&lake, &who), Format::Json).await;
    assert!(matches!(empty, Err(Failure::AnswerRefused { faults: 2 })));
    let args = desk.args(&(filled.join("\r\n") + "\r\n"), &signer, &[]);
    run(&args, (&lake, &who), Format::Json).await.unwrap();
    let (held, _) = lake.snapshot().quarantined(&who, now()).await.unwrap();
    let answers = held.iter().flat_map(|(_, all)| all).map(|of| of.answer.map(|answer| answer.action));
    assert_eq!(answers.collect::<Vec<_>>(), [Some(Action::Release), Some(Action::Delete), None]);
}

/// The list of an Incident as the report writes it.
async fn answer_list((lake, who): (&Lake, &Access), incident: &str) -> String {
    let reports = Catalogue::built_in().unwrap();
    let report = reports.named("quarantined-requests").unwrap();
    let set = &report.appendix_aa.as_ref().unwrap().parameters;
    let set = set.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let arguments = report.arguments(set.chain([("incident", incident)]), now()).unwrap();
    let order = report.order(arguments, (who, &BTreeSet::new()), now()).unwrap();
    let sharing = Sharing::of_one(who.party(), &who.user_ids().to_set());
    let engine = (Clock::manual(now()), SqlLimits::default());
    let mut rows =
        Box::pin(order.run((&lake.snapshot(), &sharing), engine, |session| session)).await.unwrap();
    let mut output = Output::new(OutputFormat::AppendixAa, report, rows.about(), Vec::new()).unwrap();
    while let Some(batch) = rows.next().await.unwrap() {
        output.write(&batch).unwrap();
    }
    String::from_utf8(output.finish().unwrap().0).unwrap()
}
