//! What browsers are answered.

use crate::it::browser::{Browser, From, ORIGIN_OURS, Seen};
use crate::it::world::{LANDING, answer_to, pair, posted};
use gridtrail_saml::fake::{ACS_URL, CONTEXT, ENTITY_ID};
use gridtrail_saml::{OUTWARD_SENTENCE, ServiceProvider};
use gridtrail_session::{EndpointFault, FORM_BYTES_MAX, Landing};
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, LOCATION, ORIGIN,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{Request, StatusCode};
use http_body_util::Full;

#[tokio::test]
async fn somebody_logs_in_is_passed_by_saml_and_logs_out() {
    let (server, other, clock) = pair().await;
    let mut browser = Browser::default();
    let page = browser.open_login(&server).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains(r#"action="https://idp.supplier.example/sso""#));
    assert!(page.header(CONTENT_SECURITY_POLICY).contains("script-src 'sha256-"));
    let [cookie] = page.cookies()[..] else { panic!("one cookie") };
    assert!(cookie.starts_with("__Host-gridtrail-login-"));
    assert!(cookie.ends_with("; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=None"), "{cookie}");
    let request = page.field("RelayState");
    let seen = browser.bring(&other, &posted(&answer_to(&request)), &request).await;
    assert_eq!((seen.status, seen.header(LOCATION)), (StatusCode::SEE_OTHER, LANDING));
    let [session, gone] = seen.cookies()[..] else { panic!("two cookies") };
    let value = session.strip_prefix("__Host-gridtrail=").unwrap();
    let Some(rest) = value[43..].strip_prefix("; Path=/; Max-Age=") else { panic!("{value}") };
    let (seconds, rest) = rest.split_once(';').unwrap();
    assert_eq!(rest, " Secure; HttpOnly; SameSite=Lax");
    // The answer says that the person was authenticated a while ago.
    let seconds: i64 = seconds.parse().unwrap();
    assert!((1..=8 * 3_600 + 1_800).contains(&seconds), "{seconds}");
    assert!(gone.starts_with(cookie.split('=').next().unwrap()) && gone.contains("Max-Age=0"), "{gone}");
    assert!(browser.is_logged_in(&server).await && browser.is_logged_in(&other).await);
    let out = browser.post(&server, "/saml/logout", &[], From::Us).await;
    assert_eq!(out.status, StatusCode::OK);
    assert_eq!(browser.session(), None);
    let mut kept = Browser::default();
    kept.cookies.insert("__Host-gridtrail".into(), (value[..43].into(), false));
    clock.advance(1000);
    assert!(!kept.is_logged_in(&other).await, "the cookie works after the logout");
}

#[tokio::test]
async fn two_tabs_of_one_browser_log_in() {
    let (server, _, _) = pair().await;
    let mut browser = Browser::default();
    let pages = [browser.open_login(&server).await, browser.open_login(&server).await];
    for page in pages {
        let request = page.field("RelayState");
        let seen = browser.bring(&server, &posted(&answer_to(&request)), &request).await;
        assert_eq!(seen.status, StatusCode::SEE_OTHER);
    }
}

#[tokio::test]
async fn nobody_is_logged_into_the_account_of_an_attacker() {
    let (server, _, _) = pair().await;
    let (mut attacker, mut victim) = (Browser::default(), Browser::default());
    let page = attacker.open_login(&server).await;
    let request = page.field("RelayState");
    let response = posted(&answer_to(&request));
    // The attacker's page has the victim's browser post the attacker's own response.
    let seen = victim.bring(&server, &response, &request).await;
    assert_eq!((seen.status, victim.session()), (StatusCode::UNAUTHORIZED, None));
    // Also where the victim is about to log in.
    let own = victim.open_login(&server).await.field("RelayState");
    let seen = victim.bring(&server, &response, &own).await;
    assert_eq!((seen.status, victim.session()), (StatusCode::UNAUTHORIZED, None));
}

#[tokio::test]
async fn nobody_can_set_a_session_beforehand() {
    let (server, _, _) = pair().await;
    let (mut attacker, mut victim) = (Browser::default(), Browser::default());
    attacker.log_in(&server).await;
    let fixed = attacker.session().unwrap();
    // Even a cookie that got into the victim's browser is replaced by the login, and stays the attacker's.
    victim.cookies.insert("__Host-gridtrail".into(), ("A".repeat(43), false));
    victim.log_in(&server).await;
    let own = victim.session().unwrap();
    assert!(own != fixed && own != "A".repeat(43));
    // A second cookie of the same name makes both worthless.
    let both = Request::get("/saml/login?idp=x")
        .header(COOKIE, format!("__Host-gridtrail={own}; __Host-gridtrail={fixed}"))
        .body(Full::default())
        .unwrap();
    let seen = Seen::of(server.endpoint.answer(both).await).await;
    assert_ne!(seen.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn whoever_is_refused_is_told_the_same_whatever_was_wrong() {
    let (server, _, _) = pair().await;
    let mut browser = Browser::default();
    let request = browser.open_login(&server).await.field("RelayState");
    let honest = answer_to(&request);
    let mut no_role = honest.clone();
    no_role.attributes = no_role.attributes.replace("role-0", "none-");
    let mut expired = honest.clone();
    expired.conditions = expired.conditions.replace("10:05:00", "09:59:00");
    let mut bodies = Vec::new();
    for response in [
        String::new(),
        "garbage".into(),
        posted(&no_role),
        posted(&expired),
        posted(&honest).replace('A', "B"),
    ] {
        let seen = browser.bring(&server, &response, &request).await;
        assert_eq!((seen.status, seen.header(WWW_AUTHENTICATE)), (StatusCode::UNAUTHORIZED, "SAML"));
        assert!(seen.cookies().is_empty() && seen.body.contains(OUTWARD_SENTENCE));
        bodies.push(seen.body);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    assert_eq!(browser.bring(&server, &posted(&honest), &request).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn logout_listens_to_our_own_pages_alone() {
    let (server, _, _) = pair().await;
    let mut browser = Browser::default();
    browser.log_in(&server).await;
    let handle = browser.session().unwrap();
    let ask = async |headers: &[(&str, &str)]| {
        let mut request = Request::post("/saml/logout").header(COOKIE, format!("__Host-gridtrail={handle}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        server.endpoint.answer(request.body(Full::<bytes::Bytes>::default()).unwrap()).await.status()
    };
    let origin = ORIGIN.as_str();
    for headers in [
        &[][..],
        &[(origin, "https://elsewhere.example")],
        &[(origin, "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[(origin, ORIGIN_OURS), ("sec-fetch-site", "cross-site")],
        &[(origin, ORIGIN_OURS), (origin, "https://elsewhere.example")],
    ] {
        assert_eq!(ask(headers).await, StatusCode::FORBIDDEN, "{headers:?}");
    }
    assert!(browser.is_logged_in(&server).await);
    assert_eq!(ask(&[("sec-fetch-site", "same-origin")]).await, StatusCode::OK);
    assert!(!browser.clone().is_logged_in(&server).await);
    // What another site posts brings no cookie of a session.
    assert_eq!(
        Browser::default().post(&server, "/saml/logout", &[], From::Us).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn the_metadata_are_those_of_the_service_provider() {
    let (server, _, _) = pair().await;
    let seen = Browser::default().get(&server, "/saml/metadata").await;
    assert_eq!(seen.header(CONTENT_TYPE), "application/samlmetadata+xml");
    assert!(seen.body.contains(ENTITY_ID) && !seen.body.contains(CONTEXT));
}

#[tokio::test]
async fn pages_that_are_not_there_and_methods_that_are_not_taken() {
    let (server, _, _) = pair().await;
    let ask = async |method: &str, path: &str| {
        let request =
            Request::builder().method(method).uri(path).body(Full::<bytes::Bytes>::default()).unwrap();
        Seen::of(server.endpoint.answer(request).await).await
    };
    for path in ["/", "/saml", "/saml/", "/saml/acs/", "/saml/login/x", "//saml/login", "/saml/%61cs"] {
        assert_eq!(ask("GET", path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    for (method, path, allow) in [
        ("GET", "/saml/acs", "POST"),
        ("GET", "/saml/logout", "POST"),
        ("POST", "/saml/login", "GET"),
        ("HEAD", "/saml/login", "GET"),
        ("DELETE", "/saml/metadata", "GET, HEAD"),
    ] {
        let seen = ask(method, path).await;
        assert_eq!(
            (seen.status, seen.header(ALLOW)),
            (StatusCode::METHOD_NOT_ALLOWED, allow),
            "{method} {path}"
        );
    }
    for path in ["/saml/login", "/saml/login?idp=a&idp=b", "/saml/login?x=y"] {
        assert_eq!(ask("GET", path).await.status, StatusCode::BAD_REQUEST, "{path}");
    }
    let unknown = ask("GET", "/saml/login?idp=%3Cscript%3E").await;
    assert!(unknown.status == StatusCode::NOT_FOUND && !unknown.body.contains("script"));
    for seen in [unknown, ask("GET", "/").await, ask("GET", "/saml/metadata").await] {
        assert_eq!(seen.header(CACHE_CONTROL), "no-store");
        assert_eq!(seen.header(X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert!(seen.header(CONTENT_SECURITY_POLICY).contains("frame-ancestors 'none'"));
    }
}

#[tokio::test]
async fn forms_are_bounded_and_read_in_one_way_only() {
    let (server, _, _) = pair().await;
    const FORM: &str = "application/x-www-form-urlencoded";
    let post = async |kind: &str, body: String, announced: Option<usize>| {
        let mut request = Request::post("/saml/acs").header(CONTENT_TYPE, kind);
        if let Some(length) = announced {
            request = request.header(CONTENT_LENGTH, length);
        }
        server.endpoint.answer(request.body(Full::from(body)).unwrap()).await.status()
    };
    assert_eq!(post("application/json", "{}".into(), None).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(post("", "SAMLResponse=".into(), None).await, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    for body in
        ["", "RelayState=x", "SAMLResponse=a&SAMLResponse=b", "SAMLResponse=a&RelayState=b&RelayState=b"]
    {
        assert_eq!(post(FORM, body.into(), None).await, StatusCode::BAD_REQUEST, "{body}");
    }
    let long = |bytes: usize| format!("SAMLResponse={}", "A".repeat(bytes - 13));
    assert_eq!(post(FORM, long(FORM_BYTES_MAX + 1), None).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(post(FORM, String::new(), Some(FORM_BYTES_MAX + 1)).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(post(FORM, long(FORM_BYTES_MAX), None).await, StatusCode::UNAUTHORIZED);
    assert_eq!(
        post(&format!("{FORM}; charset=utf-8"), "SAMLResponse=".into(), None).await,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn nobody_is_sent_elsewhere_than_where_it_was_configured() {
    let (server, _, _) = pair().await;
    let mut browser = Browser::default();
    let page = browser.get(&server, "/saml/login?idp=https%3A%2F%2Fidp.supplier.example%2Fsaml&RelayState=https://evil.example&next=https://evil.example").await;
    let request = page.field("RelayState");
    let fields = [
        ("SAMLResponse", &*posted(&answer_to(&request))),
        ("RelayState", &request),
        ("next", "https://evil.example"),
    ];
    let seen = browser.post(&server, "/saml/acs", &fields, From::Elsewhere).await;
    assert_eq!((seen.status, seen.header(LOCATION)), (StatusCode::SEE_OTHER, LANDING));
}

#[tokio::test]
async fn endpoints_that_cannot_be() {
    let provider = ServiceProvider::new(ENTITY_ID, ACS_URL).unwrap();
    let made = |landing: &str| Landing::new(&provider, landing).map(|_| ());
    for landing in ["https://ui.example/", "http://localhost:3000/", "/", "/audit?x=1"] {
        assert_eq!(made(landing), Ok(()), "{landing}");
    }
    for landing in [
        "",
        "audit",
        "//evil.example",
        "/\\evil.example",
        "http://ui.example",
        "javascript:alert(1)",
        "ftp://x",
    ] {
        assert_eq!(made(landing), Err(EndpointFault::Landing), "{landing}");
    }
    assert!(ServiceProvider::new(ENTITY_ID, "https://ssi.example/other").is_ok());
    let elsewhere = ServiceProvider::new(ENTITY_ID, "https://ssi.example/other").unwrap();
    assert_eq!(Landing::new(&elsewhere, "/").map(|_| ()), Err(EndpointFault::AcsUrl));
}
