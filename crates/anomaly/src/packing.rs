//! The kinds of rows, and the values of a fact as bytes, and read back. What is added later gets a tag that was never used.

use crate::event::{
    Action, ActionsAccepted, ActionsRefused, Advice, AnomalyFact, ArchiveOpened, Breach, Exceeded, FileName,
    Quarantined, Scope, Settlement, Threshold, ThresholdKind, ThresholdsFile,
};
use crate::reference::{FileHash, Period};
use gridtrail_model::{
    CommandVariant, DeviceId, Mpxn, RequestId, ResponseId, ServiceReferenceVariant, UserRole,
};
use gridtrail_packed::{self as pack, Packed, Packer};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $number:literal $word:literal,)+) => {
        /// What a row tells.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum AnomalyRowKind { $($(#[$doc])* $kind = $number,)+ }

        impl AnomalyRowKind {
            /// Every kind, in order.
            pub const ALL: &[Self] = &[$(Self::$kind),+];
            /// The word for this kind, by which other engines filter.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $word),+ }
            }
        }
    };
}

kinds! {
    /// [`AnomalyFact::FileReceived`].
    FileReceived = 1 "thresholds_file_received",
    /// [`AnomalyFact::FileApplied`].
    FileApplied = 2 "thresholds_file_applied",
    /// [`AnomalyFact::FileRejected`].
    FileRejected = 3 "thresholds_file_rejected",
    /// [`AnomalyFact::DccThreshold`].
    DccThreshold = 4 "dcc_threshold",
    /// [`AnomalyFact::Exceeded`].
    Exceeded = 5 "threshold_exceeded",
    /// [`AnomalyFact::Advised`].
    Advised = 6 "dcc_advised",
    /// [`AnomalyFact::Quarantined`].
    Quarantined = 7 "quarantined",
    /// [`AnomalyFact::Settled`].
    Settled = 8 "settled",
    /// [`AnomalyFact::ArchiveOpened`].
    ArchiveOpened = 9 "archive_opened",
    /// [`AnomalyFact::ActionsAccepted`].
    ActionsAccepted = 10 "action_file_accepted",
    /// [`AnomalyFact::ActionsRefused`].
    ActionsRefused = 11 "action_file_refused",
    /// That the event that the row names does not count.
    Withdrawal = 12 "withdrawn",
}

/// The kind and the values of a fact.
pub(crate) fn pack_fact(fact: &AnomalyFact) -> (AnomalyRowKind, Box<[u8]>) {
    let pack = Packer::default();
    match fact {
        AnomalyFact::FileReceived(file) => {
            let thresholds = file.thresholds().iter().map(|threshold| pack_threshold(*threshold));
            let body = pack_name(&file.name).byte(3, Some(file.fast_track.into())).list(4, thresholds);
            (AnomalyRowKind::FileReceived, body.finish())
        }
        AnomalyFact::FileApplied(name) => (AnomalyRowKind::FileApplied, pack_name(name).finish()),
        AnomalyFact::FileRejected(name, reason) => {
            (AnomalyRowKind::FileRejected, pack_name(name).text(3, Some(reason.as_str())).finish())
        }
        AnomalyFact::DccThreshold { scope, communications } => {
            (AnomalyRowKind::DccThreshold, pack_scope(*scope).number(3, *communications).finish())
        }
        AnomalyFact::Exceeded(exceeded) => {
            let body = pack
                .bytes(1, Some(&pack_threshold(exceeded.threshold)))
                .number(2, Some(exceeded.observed))
                .text(3, Some(exceeded.incident.as_str()))
                .text(4, exceeded.smsr.as_ref().map(|smsr| smsr.as_str()))
                .time(5, exceeded.emailed_at);
            (AnomalyRowKind::Exceeded, body.finish())
        }
        AnomalyFact::Advised(incident, advice) => {
            let body = pack.text(1, Some(incident.as_str())).byte(2, Some(advice.number()));
            (AnomalyRowKind::Advised, body.finish())
        }
        AnomalyFact::Quarantined(of) => (AnomalyRowKind::Quarantined, pack_quarantined(of)),
        AnomalyFact::Settled(request_id, what) => {
            let body = pack.bytes(1, Some(&request_id.to_bytes())).byte(2, Some(what.number()));
            (AnomalyRowKind::Settled, body.finish())
        }
        AnomalyFact::ArchiveOpened(opened) => {
            let ids = opened.request_ids().iter().map(|id| Box::from(id.to_bytes()));
            let body = pack
                .text(1, Some(opened.major_incident.as_str()))
                .time(2, opened.closes_at)
                .text(3, opened.incident.as_ref().map(|incident| incident.as_str()))
                .list(4, ids);
            (AnomalyRowKind::ArchiveOpened, body.finish())
        }
        AnomalyFact::ActionsAccepted(accepted) => (AnomalyRowKind::ActionsAccepted, pack_accepted(accepted)),
        AnomalyFact::ActionsRefused(refused) => (AnomalyRowKind::ActionsRefused, pack_refused(refused)),
    }
}

/// `None`: no writer of ours writes it.
pub(crate) fn unpack_fact(kind: AnomalyRowKind, body: &mut Packed<'_>) -> Option<AnomalyFact> {
    Some(match kind {
        AnomalyRowKind::FileReceived => {
            let (name, fast_track) = (unpack_name(body)?, body.required(3, pack::flag)?);
            let thresholds = body.list(4, unpack_threshold)?;
            AnomalyFact::FileReceived(ThresholdsFile::new(name, fast_track, thresholds).ok()?)
        }
        AnomalyRowKind::FileApplied => AnomalyFact::FileApplied(unpack_name(body)?),
        AnomalyRowKind::FileRejected => {
            AnomalyFact::FileRejected(unpack_name(body)?, body.required(3, pack::parsed)?)
        }
        AnomalyRowKind::DccThreshold => AnomalyFact::DccThreshold {
            scope: unpack_scope(body)?,
            communications: body.optional(3, pack::number)?,
        },
        AnomalyRowKind::Exceeded => AnomalyFact::Exceeded(Exceeded {
            threshold: body.required(1, unpack_threshold)?,
            observed: body.required(2, pack::number)?,
            incident: body.required(3, pack::parsed)?,
            smsr: body.optional(4, pack::parsed)?,
            emailed_at: body.optional(5, pack::time)?,
        }),
        AnomalyRowKind::Advised => {
            let advice = body.required(2, |value| Advice::from_number(pack::byte(value)?))?;
            AnomalyFact::Advised(body.required(1, pack::parsed)?, advice)
        }
        AnomalyRowKind::Quarantined => AnomalyFact::Quarantined(unpack_quarantined(body)?),
        AnomalyRowKind::Settled => {
            let what = body.required(2, |value| Settlement::from_number(pack::byte(value)?))?;
            AnomalyFact::Settled(body.required(1, request_of)?, what)
        }
        AnomalyRowKind::ArchiveOpened => {
            let (major, closes_at) = (body.required(1, pack::parsed)?, body.optional(2, pack::time)?);
            let (incident, ids) = (body.optional(3, pack::parsed)?, body.list(4, request_of)?);
            AnomalyFact::ArchiveOpened(ArchiveOpened::new(major, closes_at, incident, ids).ok()?)
        }
        AnomalyRowKind::ActionsAccepted => AnomalyFact::ActionsAccepted(unpack_accepted(body)?),
        AnomalyRowKind::ActionsRefused => AnomalyFact::ActionsRefused(unpack_refused(body)?),
        AnomalyRowKind::Withdrawal => return None,
    })
}

fn pack_name(name: &FileName) -> Packer {
    Packer::default().text(1, Some(name.smsr.as_str())).text(2, Some(name.role.code()))
}

fn unpack_name(body: &mut Packed<'_>) -> Option<FileName> {
    let role: UserRole = body.required(2, pack::parsed)?;
    Some(FileName { smsr: body.required(1, pack::parsed)?, role })
}

fn variant_code(variant: ServiceReferenceVariant) -> u64 {
    u64::from(variant.to_code().cast_unsigned())
}

fn variant_of(value: &[u8]) -> Option<ServiceReferenceVariant> {
    ServiceReferenceVariant::from_code(i32::try_from(pack::number(value)?).ok()?)
}

fn pack_scope(scope: Scope) -> Packer {
    let pack = Packer::default().number(1, scope.variant.map(variant_code));
    pack.number(2, Some(scope.period.seconds().into()))
}

fn unpack_scope(body: &mut Packed<'_>) -> Option<Scope> {
    let variant = body.optional(1, variant_of)?;
    let period = |value| Period::of_seconds(u32::try_from(pack::number(value)?).ok()?).ok();
    Some(Scope { variant, period: body.required(2, period)? })
}

fn pack_threshold(threshold: Threshold) -> Box<[u8]> {
    let pack = pack_scope(threshold.scope).number(3, Some(threshold.communications));
    pack.byte(4, Some(threshold.kind.number())).finish()
}

fn unpack_threshold(value: &[u8]) -> Option<Threshold> {
    let mut body = Packed::read(value)?;
    let scope = unpack_scope(&mut body)?;
    let communications = body.required(3, pack::number)?;
    let kind = body.required(4, |value| ThresholdKind::from_number(pack::byte(value)?))?;
    body.is_empty().then_some(Threshold { kind, scope, communications })
}

fn request_of(value: &[u8]) -> Option<RequestId> {
    value.try_into().ok().map(RequestId::from_bytes)
}

fn response_of(value: &[u8]) -> Option<ResponseId> {
    value.try_into().ok().map(ResponseId::from_bytes)
}

fn pack_quarantined(of: &Quarantined) -> Box<[u8]> {
    Packer::default()
        .bytes(1, Some(&of.request_id.to_bytes()))
        .byte(2, of.command_variant.map(CommandVariant::number))
        .number(3, of.variant.map(variant_code))
        .bytes(4, of.device.map(DeviceId::to_bytes).as_ref().map(<[u8; 8]>::as_slice))
        .number(5, of.mpxn.map(|mpxn| mpxn.to_code().cast_unsigned()))
        .time(6, of.received_at)
        .byte(7, Some(of.breach.number()))
        .text(8, Some(of.event_ref.as_str()))
        .text(9, of.incident.as_ref().map(|incident| incident.as_str()))
        .bytes(10, of.dcc_alert.map(ResponseId::to_bytes).as_ref().map(<[u8; 24]>::as_slice))
        .finish()
}

fn unpack_quarantined(body: &mut Packed<'_>) -> Option<Quarantined> {
    Some(Quarantined {
        request_id: body.required(1, request_of)?,
        command_variant: body.optional(2, |value| CommandVariant::new(pack::byte(value)?))?,
        variant: body.optional(3, variant_of)?,
        device: body.optional(4, |value| pack::eui(value).map(DeviceId::from_bytes))?,
        mpxn: body.optional(5, |value| Mpxn::from_code(pack::number(value)?.cast_signed()))?,
        received_at: body.optional(6, pack::time)?,
        breach: body.required(7, |value| Breach::from_number(pack::byte(value)?))?,
        event_ref: body.required(8, pack::parsed)?,
        incident: body.optional(9, pack::parsed)?,
        dcc_alert: body.optional(10, response_of)?,
    })
}

fn hash_of(value: &[u8]) -> Option<FileHash> {
    value.try_into().ok().map(FileHash::from_bytes)
}

fn pack_accepted(accepted: &ActionsAccepted) -> Box<[u8]> {
    let action = |(id, action): &(RequestId, Action)| {
        Packer::default().bytes(1, Some(&id.to_bytes())).byte(2, Some(action.number())).finish()
    };
    Packer::default()
        .text(1, Some(accepted.incident.as_str()))
        .time(2, Some(accepted.validated_at))
        .bytes(3, accepted.file.map(FileHash::to_bytes).as_ref().map(<[u8; 32]>::as_slice))
        .list(4, accepted.actions().iter().map(action))
        .finish()
}

fn unpack_accepted(body: &mut Packed<'_>) -> Option<ActionsAccepted> {
    let action = |value| {
        let mut one = Packed::read(value)?;
        let id = one.required(1, request_of)?;
        let action = one.required(2, |value| Action::from_number(pack::byte(value)?))?;
        one.is_empty().then_some((id, action))
    };
    let (incident, validated_at) = (body.required(1, pack::parsed)?, body.required(2, pack::time)?);
    ActionsAccepted::new(incident, validated_at, body.optional(3, hash_of)?, body.list(4, action)?).ok()
}

fn pack_refused(refused: &ActionsRefused) -> Box<[u8]> {
    let faults = refused.faults().iter().map(|(line, reason)| {
        Packer::default().number(1, Some((*line).into())).text(2, Some(reason.as_str())).finish()
    });
    Packer::default()
        .text(1, refused.incident.as_ref().map(|incident| incident.as_str()))
        .time(2, Some(refused.refused_at))
        .bytes(3, refused.file.map(FileHash::to_bytes).as_ref().map(<[u8; 32]>::as_slice))
        .list(4, faults)
        .finish()
}

fn unpack_refused(body: &mut Packed<'_>) -> Option<ActionsRefused> {
    let fault = |value| {
        let mut one = Packed::read(value)?;
        let line = u32::try_from(one.required(1, pack::number)?).ok()?;
        let reason = one.required(2, pack::parsed)?;
        one.is_empty().then_some((line, reason))
    };
    let (incident, refused_at) = (body.optional(1, pack::parsed)?, body.required(2, pack::time)?);
    ActionsRefused::new(incident, refused_at, body.optional(3, hash_of)?, body.list(4, fault)?).ok()
}
