//! Pages: they add up to the whole, whatever comes meanwhile, and belong to whom they were given.

use super::*;
use proptest::prelude::*;

/// Every page of a search from the first on, and how many Devices were left out in all; `meanwhile` happens between two pages.
async fn paged(
    search: &InventorySearch,
    mut query: InventoryQuery,
    mut meanwhile: impl FnMut(),
) -> (Vec<DeviceId>, usize) {
    let (mut all, mut left_out) = (Vec::new(), 0);
    let mut at = None;
    loop {
        let page = search.search(&ann(), &query).await.unwrap();
        assert!(page.devices.len() <= page.page_size);
        assert_eq!(*at.get_or_insert(page.as_at), page.as_at, "one instant for all pages");
        all.extend(page.devices.iter().map(|row| row.device));
        left_out += page.not_commissioned_left_out();
        meanwhile();
        match page.next_page_token {
            None => return (all, left_out),
            token => query.page_token = token,
        }
    }
}

/// A postcode of some homes whose Devices are of some statuses.
fn postcode(statuses: &[SmiStatus]) -> Vec<InventoryFact> {
    let of = |(number, status): (u16, &SmiStatus)| {
        [
            is_a(number, DeviceType::Esme),
            has_status(number, *status),
            installed(number, number.into()),
            registered(number.into(), None, &format!("{number}")),
        ]
    };
    (0..).zip(statuses).flat_map(of).collect()
}

fn in_some_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

proptest! {
    #[test]
    fn pages_add_up_to_the_whole_and_count_each_device_once(
        commissioned in prop::collection::vec(any::<bool>(), 0..25),
        page_size in 1u32..8,
        all: bool,
    ) {
        let of = |is: &bool| if *is { SmiStatus::Commissioned } else { SmiStatus::Pending };
        let statuses: Vec<SmiStatus> = commissioned.iter().map(of).collect();
        let (inventory, _) = over(postcode(&statuses));
        let clock = Clock::manual(now());
        let search = search_over(&inventory, &clock);
        let query = InventoryQuery { include_not_commissioned: all, ..by_postcode("") };
        let whole = in_some_runtime(found(&search, &InventoryQuery { page_size: Some(1000), ..query.clone() }));
        let small = InventoryQuery { page_size: Some(page_size), ..query };
        // A Device more at the front, and time that passes, change nothing on the pages that follow.
        let mut number = 60_000;
        let meanwhile = || {
            let news = [
                is_a(number, DeviceType::Esme),
                has_status(number, SmiStatus::Commissioned),
                installed(number, 1),
                has_status(0, SmiStatus::Withdrawn),
            ];
            number += 1;
            inventory.tell(told_at(50, news), hour(50));
            clock.advance(1_000);
        };
        let (paged, left_out) = in_some_runtime(paged(&search, small, meanwhile));
        prop_assert_eq!(&paged, &whole);
        prop_assert_eq!(paged.len() + left_out, statuses.len());
    }
}

#[tokio::test]
async fn a_page_may_end_early_and_the_next_goes_on_there() {
    let (_, search) = over(postcode(&[SmiStatus::Commissioned; 9]));
    let mut page = search.search(&ann(), &by_postcode("")).await.unwrap();
    assert!(page.next_page_token.is_none());
    page.end_after(4).unwrap();
    let query = InventoryQuery { page_token: page.next_page_token.clone(), ..by_postcode("") };
    assert_eq!(found(&search, &query).await, devices(&[4, 5, 6, 7, 8]));
    let mut page = search.devices(&ann(), &by_postcode("")).await.unwrap();
    page.end_after(0).unwrap();
    assert_eq!(page.devices.len(), 1, "at least one");
}

#[tokio::test]
async fn a_token_holds_for_its_caller_its_query_and_its_hour() {
    let (inventory, _) = over(postcode(&[SmiStatus::Commissioned; 3]));
    let clock = Clock::manual(now());
    let search = search_over(&inventory, &clock);
    let first = InventoryQuery { page_size: Some(1), ..by_postcode("") };
    let token = search.search(&ann(), &first).await.unwrap().next_page_token;
    let next = InventoryQuery { page_token: token.clone(), ..first.clone() };
    assert_eq!(found(&search, &next).await, devices(&[1]));

    let refused = async |who: &Access, query: InventoryQuery| {
        let query = InventoryQuery { page_token: token.clone(), ..query };
        violation(&search.search(who, &query).await.unwrap_err())
    };
    let not_given = "not a page token that this service gave you";
    assert_eq!(refused(&access_of("bob", &[1]), first.clone()).await, ("page_token", not_given.to_owned()));
    let others = [
        with_all(first.clone()),
        by_postcode("1"),
        by_device(1),
        InventoryQuery { as_of: Some(AsOf::Version(1)), ..first.clone() },
    ];
    for other in others {
        assert!(refused(&ann(), other).await.1.starts_with("given for another search"));
    }
    let of_devices = InventoryQuery { page_size: Some(1), ..next.clone() };
    let error = search.devices(&ann(), &of_devices).await.unwrap_err();
    assert!(violation(&error).1.starts_with("given for another search"));
    for text in ["", "x", "EAAA"] {
        let query = InventoryQuery { page_token: Some(text.into()), ..first.clone() };
        assert_eq!(violation(&search.search(&ann(), &query).await.unwrap_err()).1, not_given, "{text}");
    }
    // Whoever may no longer search may not go on either.
    let error = search.search(&access_of("ann", &[]), &next).await.unwrap_err();
    assert_eq!(error.kind(), SearchErrorKind::Denied);

    inventory.tell(Vec::new(), hour(60));
    inventory.forget_old_versions();
    assert!(refused(&ann(), first.clone()).await.1.starts_with("no longer valid"));
    clock.advance(HOUR_MS);
    assert!(refused(&ann(), first).await.1.starts_with("no longer valid"));
}
