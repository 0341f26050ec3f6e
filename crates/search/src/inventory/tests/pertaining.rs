//! What pertains to a caller, found from the meter points that they answer for, is what going through all Devices finds.

use super::*;
use crate::inventory::device::held;
use crate::inventory::pass::READING_BYTES;
use crate::inventory::pertaining::{answering, unattached};
use crate::inventory::reach::Reach;
use crate::room::{NoRoom, Room};
use gridtrail_inventory::Withdrawal;
use gridtrail_lake::{Batch, Lake, LakeSettings};
use gridtrail_model::{CspRegion, Named, UserId};
use gridtrail_synth::{Settings, World};
use proptest::prelude::*;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Room for so many bytes.
struct Measured {
    bytes_max: usize,
}

impl Measured {
    fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { bytes_max })
    }
}

impl Room for Measured {
    fn hold(&self, bytes: usize) -> Result<(), NoRoom> {
        if bytes > self.bytes_max { Err(NoRoom) } else { Ok(()) }
    }
}

fn user(number: u8) -> UserId {
    UserId::from_bytes([0x90, 0xB3, 0xD5, 0x1F, 0x30, 1, 0, number])
}

/// Two of the three Users that there are.
fn caller() -> Access {
    of_users([user(0), user(1)].into())
}

fn of_users(user_ids: BTreeSet<UserId>) -> Access {
    let claims = Bearer {
        subject: "ann".into(),
        party: "Avon".parse().unwrap(),
        org_id: OrgId::All,
        user_ids,
        roles: JobTypeRole::new(1).into_iter().collect(),
        valid_from: now(),
        expires_at: now().plus_millis(12 * HOUR_MS),
    };
    KEY.access(&claims).unwrap()
}

async fn lake_of(events: Vec<InventoryEvent>) -> Lake {
    static LAKES: AtomicUsize = AtomicUsize::new(0);
    let name = format!("memory:///pertaining-{}", LAKES.fetch_add(1, Ordering::Relaxed));
    let lake = Lake::open(LakeSettings::at(name), Clock::manual(now())).await.unwrap();
    let mut writer = lake.writer().await.unwrap();
    for some in events.chunks(events.len() / 2 + 1) {
        writer.commit(Batch { inventory: some.to_vec(), ..Batch::default() }).await.unwrap();
    }
    lake
}

type Found = (Vec<PertainingDevice>, Vec<UnattachedHub>);

fn sorted((mut devices, mut hubs): Found) -> Found {
    devices.sort_by_key(|row| (row.user, row.device));
    hubs.sort_by_key(|row| (row.hub.user, row.hub.device));
    (devices, hubs)
}

/// By a look at each Device, as a search shows it.
async fn device_by_device(lake: &Lake, who: &Access, rules: InventoryRules) -> Found {
    let snapshot = lake.snapshot();
    let mut scan = InventoryScan::new(Arc::clone(&snapshot), who.clone(), rules).await.unwrap();
    let (mut devices, mut hubs) = (Vec::new(), Vec::new());
    while let Some(some) = scan.next().await.unwrap() {
        for device in some {
            let mut reach = Reach::new(&*snapshot, who, rules.at);
            let again = held(&mut reach, rules.type_two().filter(true), &[device.device]).await.unwrap();
            assert_eq!(again, std::slice::from_ref(&device));
            let places = device.premises.iter().map(|premises| premises.mpxn);
            let (_, users) = answering(&reach, who, places);
            devices.extend(users.into_iter().map(|answering| PertainingDevice::of(answering, &device)));
            hubs.extend(
                unattached(&mut reach, who, &device).await.unwrap().into_iter().flat_map(|(_, all)| all),
            );
        }
    }
    sorted((devices, hubs))
}

/// From the meter points.
async fn by_meter_points(
    lake: &Lake,
    who: &Access,
    rules: InventoryRules,
    room: Arc<dyn Room>,
) -> Result<Found, SearchError> {
    let reading = Reading { at_once: NonZeroU32::new(2).unwrap(), room };
    let (mut devices, mut hubs) = (Vec::new(), Vec::new());
    let mut scan = PertainingScan::new(lake.snapshot(), who.clone(), rules, reading.clone());
    while let Some(some) = scan.next().await? {
        devices.extend(some);
    }
    let mut scan = UnattachedHubScan::new(lake.snapshot(), who.clone(), rules, reading);
    while let Some(some) = scan.next().await? {
        hubs.extend(some);
    }
    Ok(sorted((devices, hubs)))
}

fn party() -> impl Strategy<Value = FieldChange<UserId>> {
    prop_oneof![
        2 => Just(FieldChange::Unsaid),
        1 => Just(FieldChange::Cleared),
        4 => (0..3_u8).prop_map(|number| FieldChange::Value(user(number))),
    ]
}

/// Few Devices and meter points, so that much is told of each.
fn facts() -> impl Strategy<Value = InventoryFact> {
    let (devices, mpxns) = (|| 1..9_u16, || 1..6_u32);
    let types = prop::sample::select(vec![
        DeviceType::Esme,
        DeviceType::Gsme,
        DeviceType::Chf,
        DeviceType::Chf,
        DeviceType::Gpf,
        DeviceType::Ppmid,
        DeviceType::Ihd,
        DeviceType::Cad,
    ]);
    let statuses =
        prop::sample::select(vec![SmiStatus::Pending, SmiStatus::Commissioned, SmiStatus::Suspended]);
    prop_oneof![
        3 => (devices(), types).prop_map(|(number, of)| is_a(number, of)),
        1 => devices().prop_map(|number| InventoryFact::DeviceRemoved { device: device(number) }),
        2 => (devices(), prop::option::of(statuses))
            .prop_map(|(number, status)| InventoryFact::SmiStatus { device: device(number), status }),
        4 => (devices(), mpxns(), any::<bool>()).prop_map(|(number, at, installed)| {
            InventoryFact::Installation { device: device(number), mpxn: mpxn(at), installed }
        }),
        6 => (devices(), devices(), prop::bool::weighted(0.6)).prop_map(|(one, other, associated)| {
            InventoryFact::Association { device: device(one), with: device(other), associated }
        }),
        1 => devices().prop_map(|hub| InventoryFact::Region { hub: device(hub), region: CspRegion::North }),
        4 => (mpxns(), party(), party(), party()).prop_map(|(at, supplier, network, agent)| {
            let data = Registration {
                responsible_supplier: supplier,
                network_party: network,
                registered_supplier_agent: agent,
                ..Registration::default()
            };
            InventoryFact::Registration { mpxn: mpxn(at), data }
        }),
    ]
}

/// Facts, some corrected or withdrawn: also by events that are about others, as no source should tell them.
fn worlds() -> impl Strategy<Value = Vec<InventoryEvent>> {
    let about = prop_oneof![
        (1..9_u16).prop_map(|number| Named::Device(device(number))),
        (1..6_u32).prop_map(|number| Named::Mpxn(mpxn(number))),
    ];
    let ends = prop::option::weighted(0.2, 1..12_i64);
    let fact =
        (0..120_i64, 0..120_i64, ends, facts(), prop::option::weighted(0.1, 0..40_usize), any::<bool>());
    let fact = fact.prop_map(|(recorded, from, lasts, fact, corrects, told)| {
        let (from, until) = (hour(from), lasts.map(|lasts| hour(from + lasts)));
        let corrects = corrects.map(|number| format!("event-{number}").parse().unwrap());
        let stated = StatedFact { effective: Effective::new(from, until).unwrap(), corrects, fact };
        let origin = if told || stated.corrects.is_some() { FactOrigin::Inventory } else { FactOrigin::Duis };
        (recorded, origin, InventoryStatement::Fact(stated))
    });
    let withdrawal = (0..120_i64, 0..40_usize, prop::collection::vec(about, 1..3));
    let withdrawal = withdrawal.prop_map(|(recorded, number, about)| {
        let of = format!("event-{number}").parse().unwrap();
        let told = InventoryStatement::Withdrawal(Withdrawal::new(of, about).unwrap());
        (recorded, FactOrigin::Inventory, told)
    });
    let event = prop_oneof![12 => fact, 1 => withdrawal];
    prop::collection::vec(event, 0..60).prop_map(|events| {
        let event = |(number, (recorded, origin, told))| InventoryEvent {
            recorded_at: hour(recorded),
            id: format!("event-{number}").parse().unwrap(),
            origin,
            told,
        };
        events.into_iter().enumerate().map(event).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn from_meter_points_is_found_what_a_look_at_each_device_finds(events in worlds(), every_type_two: bool) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
        runtime.block_on(async {
            let (lake, who) = (lake_of(events).await, caller());
            let rules = InventoryRules { at: now(), every_type_two };
            let expected = device_by_device(&lake, &who, rules).await;
            let found = by_meter_points(&lake, &who, rules, Measured::new(usize::MAX)).await.unwrap();
            prop_assert_eq!(found, expected);
            Ok(())
        })?;
    }
}

/// A region, of which each User has a part; and without room it is refused, before more is held.
#[tokio::test(flavor = "multi_thread")]
async fn what_pertains_to_a_user_of_a_region_is_found_within_its_room() {
    let world = World::seeded(5, Settings::for_events(1_000_000, 10)).unwrap();
    let events: Vec<_> = (0..60).flat_map(|number| world.inventory_of(number).events).collect();
    let told = events.iter().filter_map(|event| match &event.told {
        InventoryStatement::Fact(StatedFact { fact: InventoryFact::Registration { data, .. }, .. }) => {
            Some(data)
        }
        _ => None,
    });
    let users: BTreeSet<UserId> = told
        .flat_map(|data| [&data.responsible_supplier, &data.network_party].map(|user| user.value().copied()))
        .flatten()
        .collect();
    assert!(users.len() > 3);
    let (lake, rules) = (lake_of(events).await, InventoryRules { at: hour(20_000), every_type_two: false });
    let (mut devices, mut hubs) = (0, 0);
    for user in users {
        let who = of_users([user].into());
        let expected = device_by_device(&lake, &who, rules).await;
        (devices, hubs) = (devices + expected.0.len(), hubs + expected.1.len());
        let found = by_meter_points(&lake, &who, rules, Measured::new(usize::MAX)).await.unwrap();
        assert_eq!(found, expected);
        if !expected.0.is_empty() {
            // Room for reading, and for nothing that is found.
            let room = Measured::new(2 * READING_BYTES);
            let refused = by_meter_points(&lake, &who, rules, room).await.unwrap_err();
            assert!(matches!(refused, SearchError::NoRoom(NoRoom)), "{refused:?}");
        }
    }
    assert!(devices > 300 && hubs > 0, "{devices} Devices and {hubs} hubs");
}
