//! Every functional component × every Job Type Role × every way in which two Users may stand to each other, against a running
//! server over a real lake.
//!
//! Which role may use what is typed here from the specification, row by row. It comes neither from the server's own table nor
//! from the file behind that, so that a slip in either shows. A component with a service is called. Of the others the server's
//! word is the list in the caller's profile, which is held against the table as a whole.

use crate::it::fixture::{ANN, BOB, METER, World, bearer_of, of_meter, with_header};
use crate::it::rights::{RELATIONS, counts, world_of};
use gridtrail_access::{Bearer, OrgId};
use gridtrail_lake::Lake;
use gridtrail_proto::query::v1::audit_trail_service_client::AuditTrailServiceClient;
use gridtrail_proto::query::v1::inventory_service_client::InventoryServiceClient;
use gridtrail_proto::query::v1::meter_read_service_client::MeterReadServiceClient;
use gridtrail_proto::query::v1::session_service_client::SessionServiceClient;
use gridtrail_proto::query::v1::{GetRequest, InventorySearchRequest, ProfileRequest, ProfileResponse};
use std::collections::BTreeMap;
use std::fmt::Debug;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

const AUDIT_TRAILS: &str = "Service audit trails";
const INVENTORY: &str = "Smart metering inventory";
const METER_READS: &str = "Meter read transactions";
const PROFILE: &str = "User profile information";

/// The table of Smart Energy Code Appendix AH under its heading "Administration User defined access": a row a functional
/// component in the table's order, a column a Job Type Role.
///
/// Two rows are not as printed: that of BFD06 names UC_Inventory_001 for UC_MeterRead_001, and that of UC_Search_001 has no name.
const MAY_USE: [(&str, &str); 22] = [
    ("Raise service management incidents", "YYYNNNYNNNY"),
    ("Update service management incidents", "YYYNNNYNNNY"),
    ("View service management incidents", "YYYYNNYYNYY"),
    ("Problem management", "YYYYNNYYNYY"),
    (INVENTORY, "YYYYYYYYYYY"),
    ("DCC service status", "YYYYYNYYNNN"),
    (AUDIT_TRAILS, "YYYYYYYYYYN"),
    ("Forward schedule of change", "YYNYYNYYNNN"),
    (METER_READS, "YYYYYYYYYYN"),
    ("SM WAN network coverage", "YYNYYYYYYNY"),
    ("DCC service alerts", "YYNYYNYYNNN"),
    ("Service catalogue publication and call off", "YYNYNNNNYNY"),
    ("Communications Hub availability and diagnostics", "YYNYYNYYNNY"),
    ("Reporting", "YYNYNYNNNYY"),
    ("Knowledge management", "YYYYYYYYYYY"),
    ("FAQs", "YYYYYYYYYYY"),
    ("DCC user manuals", "YYYYYYYYYYY"),
    ("Search", "YYYYYYYYYYY"),
    ("Forecasting and ordering of Communications Hubs and auxiliary equipment", "YYNNNYNNYNY"),
    ("Log in", "YYYYYYYYYYY"),
    ("User account management", "NYNNNNNNNNN"),
    (PROFILE, "YYYYYYYYYYY"),
];

/// Whether a row of the table has a Y in a role's column.
fn is_open(row: &str, role: u8) -> bool {
    assert_eq!(row.len(), 11, "a row has eleven columns: {row}");
    match row.as_bytes()[usize::from(role) - 1] {
        b'Y' => true,
        b'N' => false,
        other => panic!("{} is neither Y nor N: {row}", char::from(other)),
    }
}

/// What some roles may use together, in the order of the table.
pub(crate) fn open_to(roles: &[u8]) -> Vec<&'static str> {
    let rows = MAY_USE.iter().filter(|(_, row)| roles.iter().any(|role| is_open(row, *role)));
    rows.map(|(component, _)| *component).collect()
}

/// Somebody of Bob's Party, and whether they see Ann's rows.
struct Caller {
    /// Says who it is where an assertion fails.
    name: String,
    bearer: String,
    sees_ann: bool,
}

impl Caller {
    fn new(world: &World<Lake>, name: String, claims: &Bearer, sees_ann: bool) -> Self {
        Self { name, bearer: format!("Bearer {}", world.mint(claims)), sees_ann }
    }

    fn user_ids(&self) -> &'static [&'static str] {
        if self.sees_ann { &[BOB, ANN] } else { &[BOB] }
    }

    /// How many rows of each User the audit trail of the meter has for them.
    fn rows(&self) -> BTreeMap<&'static str, usize> {
        if self.sees_ann { BTreeMap::from([(ANN, 2), (BOB, 1)]) } else { BTreeMap::from([(BOB, 1)]) }
    }
}

/// Two answers that must not be told apart.
fn outward(status: &Status) -> (Code, String, Vec<u8>) {
    (status.code(), status.message().to_owned(), status.details().to_vec())
}

fn assert_denied<T: Debug>(answer: Result<Response<T>, Status>, component: &str, caller: &Caller) {
    let status = answer.expect_err(&caller.name);
    assert_eq!(status.code(), Code::PermissionDenied, "{}: {status}", caller.name);
    let text = format!("none of your Job Type Roles may use {component}");
    assert_eq!(status.message(), text, "{}", caller.name);
}

/// A reference of the same form, to a row that is not there: its seventh character is of the Device.
fn of_another_device(reference: &str) -> String {
    let change = |(at, c)| if at != 6 { c } else { char::from(if c == 'A' { b'B' } else { b'A' }) };
    reference.chars().enumerate().map(change).collect()
}

/// The services that components have, a row of Ann's to ask them for, and one that is not there.
struct Services {
    audit: AuditTrailServiceClient<Channel>,
    inventory: InventoryServiceClient<Channel>,
    reads: MeterReadServiceClient<Channel>,
    sessions: SessionServiceClient<Channel>,
    anns_row: GetRequest,
    no_row: GetRequest,
}

impl Services {
    async fn of(world: &World<Lake>) -> Self {
        let (mut audit, reads) = (world.audit_trails().await, world.meter_reads().await);
        let anns = audit.search(world.by(ANN, of_meter())).await.unwrap().into_inner().rows;
        let anns_row = GetRequest { reference: anns[0].reference.clone(), ..GetRequest::default() };
        let no_row =
            GetRequest { reference: of_another_device(&anns_row.reference), ..GetRequest::default() };
        let inventory = world.inventory().await;
        Self { audit, inventory, reads, sessions: world.sessions().await, anns_row, no_row }
    }

    /// The profile, of which the User IDs are held against what the caller must see.
    async fn profile(&mut self, caller: &Caller) -> ProfileResponse {
        let answer = self.sessions.profile(with_header(ProfileRequest {}, &caller.bearer)).await;
        let profile = answer.expect(&caller.name).into_inner();
        assert_eq!(profile.user_ids, caller.user_ids(), "{}", caller.name);
        profile
    }

    /// The audit trail has the rows of those whom the caller may see, and of the others not even that they exist.
    async fn check_audit_trails(&mut self, caller: &Caller, may_use: bool) {
        let Caller { name, bearer, sees_ann } = caller;
        let found = self.audit.search(with_header(of_meter(), bearer)).await;
        let got = self.audit.get(with_header(self.anns_row.clone(), bearer)).await;
        if !may_use {
            assert_denied(found, AUDIT_TRAILS, caller);
            assert_denied(got, AUDIT_TRAILS, caller);
            return;
        }
        assert_eq!(counts(&found.expect(name).into_inner()), caller.rows(), "{name}");
        match got {
            Ok(answer) => {
                let row = answer.into_inner().row.unwrap();
                assert!(*sees_ann && row.user_id == ANN, "{name}: {row:?}");
            }
            Err(status) => {
                assert!(!sees_ann, "{name}: {status}");
                let none = self.audit.get(with_header(self.no_row.clone(), bearer)).await.unwrap_err();
                assert_eq!(outward(&status), outward(&none), "{name}: not yours is as not there");
            }
        }
    }

    /// The inventory is open to whoever may use it: no User ID filters it, and of this meter it knows nothing.
    async fn check_inventory(&mut self, caller: &Caller, may_use: bool) {
        let request = InventorySearchRequest { device_id: METER.into(), ..InventorySearchRequest::default() };
        let found = self.inventory.search(with_header(request, &caller.bearer)).await;
        if !may_use {
            return assert_denied(found, INVENTORY, caller);
        }
        assert!(found.expect(&caller.name).into_inner().devices.is_empty(), "{}", caller.name);
    }

    /// Meter reads are open to all Users: Ann's two, with her name, however she stands to Bob. His own row is no read.
    async fn check_meter_reads(&mut self, caller: &Caller, may_use: bool) {
        let Caller { name, bearer, .. } = caller;
        let found = self.reads.search(with_header(of_meter(), bearer)).await;
        let got = self.reads.get(with_header(self.anns_row.clone(), bearer)).await;
        if !may_use {
            assert_denied(found, METER_READS, caller);
            assert_denied(got, METER_READS, caller);
            return;
        }
        assert_eq!(counts(&found.expect(name).into_inner()), BTreeMap::from([(ANN, 2)]), "{name}");
        let row = got.expect(name).into_inner().row.unwrap();
        assert_eq!(row.user_id, ANN, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_component_for_every_role_and_every_way_to_stand_to_another_user() {
    let world = World::serve_lake().await;
    let mut services = Services::of(&world).await;
    let mut cases = 0;
    for (relation, sees_ann) in RELATIONS {
        world.admission.replace(world_of(relation));
        for role in 1..=11 {
            let claims = bearer_of(BOB, &[BOB, ANN], &[role]);
            let caller = Caller::new(&world, format!("{relation}, role {role}"), &claims, sees_ann);
            let open = services.profile(&caller).await.functional_components;
            assert_eq!(open, open_to(&[role]), "{}", caller.name);
            for (component, row) in MAY_USE {
                let may_use = is_open(row, role);
                match component {
                    AUDIT_TRAILS => services.check_audit_trails(&caller, may_use).await,
                    INVENTORY => services.check_inventory(&caller, may_use).await,
                    METER_READS => services.check_meter_reads(&caller, may_use).await,
                    // Without a service of its own: the profile's word on it is all there is.
                    _ => {
                        let said = open.iter().any(|name| name == component);
                        assert_eq!(said, may_use, "{}: {component}", caller.name);
                    }
                }
                cases += 1;
            }
        }
    }
    assert_eq!(cases, 6 * 11 * 22, "relations, roles and components");
}

/// Clause 1.5.2: who has several roles may use all that each of them may. Who has none may use nothing.
#[tokio::test(flavor = "multi_thread")]
async fn several_roles_may_use_together_what_each_of_them_may() {
    let world = World::serve_lake().await;
    let mut services = Services::of(&world).await;
    world.admission.replace(world_of("granted"));
    let mut pairs = 0;
    for one in 1..=11 {
        for other in one + 1..=11 {
            let claims = bearer_of(BOB, &[BOB, ANN], &[one, other]);
            let caller = Caller::new(&world, format!("roles {one} and {other}"), &claims, true);
            let open = services.profile(&caller).await.functional_components;
            assert_eq!(open, open_to(&[one, other]), "{}", caller.name);
            services.check_audit_trails(&caller, true).await;
            services.check_meter_reads(&caller, true).await;
            pairs += 1;
        }
    }
    assert_eq!(pairs, 55);

    // Role 3 may not use reports, nor role 11 the audit trail.
    let claims = bearer_of(BOB, &[BOB, ANN], &[11, 3]);
    let both = Caller::new(&world, "roles 11 and 3".into(), &claims, true);
    let profile = services.profile(&both).await;
    assert_eq!(profile.job_type_roles, ["role-03", "role-11"]);
    for component in [AUDIT_TRAILS, "Reporting"] {
        assert!(profile.functional_components.iter().any(|name| name == component), "{component}");
    }

    let none = Caller::new(&world, "no role".into(), &bearer_of(BOB, &[BOB, ANN], &[]), true);
    let profile = services.sessions.profile(with_header(ProfileRequest {}, &none.bearer)).await;
    assert_denied(profile, PROFILE, &none);
    services.check_audit_trails(&none, false).await;
    services.check_inventory(&none, false).await;
    services.check_meter_reads(&none, false).await;
}

/// Clause 1.4.4, OrgID: User IDs that are read as those that others granted bring all of the Party's own with them, and are
/// worth no more than the grant behind them. The claims are the same throughout: what changes is who shares with whom.
#[tokio::test(flavor = "multi_thread")]
async fn user_ids_that_others_granted_bring_the_partys_own_with_them() {
    let world = World::serve_lake().await;
    let mut services = Services::of(&world).await;
    let mut seen = 0;
    for (relation, sees_ann) in RELATIONS {
        world.admission.replace(world_of(relation));
        let claims = Bearer { org_id: OrgId::GrantedOnly, ..bearer_of(BOB, &[ANN], &[1]) };
        let caller = Caller::new(&world, format!("{relation}, granted only"), &claims, sees_ann);
        services.profile(&caller).await;
        services.check_audit_trails(&caller, true).await;
        services.check_meter_reads(&caller, true).await;
        // Read as all that there are, the same User ID comes without Bob's, and so without what was granted for it.
        let named = Bearer { org_id: OrgId::All, ..claims };
        let bearer = format!("Bearer {}", world.mint(&named));
        let found = services.audit.search(with_header(of_meter(), &bearer)).await.unwrap().into_inner();
        let expected = if relation == "own" { BTreeMap::from([(ANN, 2)]) } else { BTreeMap::new() };
        assert_eq!(counts(&found), expected, "{relation}, all");
        seen += usize::from(sees_ann);
    }
    assert_eq!(seen, 2, "her own Party's, and the one that she granted it to");
}
