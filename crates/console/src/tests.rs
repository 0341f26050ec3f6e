use super::*;
use http::header::ACCEPT_ENCODING;

fn get(path: &str, encodings: &str) -> Response<Full<Bytes>> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, encodings.parse().unwrap());
    answer(&Method::GET, path, &headers)
}

fn header<'a>(answer: &'a Response<Full<Bytes>>, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn every_address_of_a_page_gets_the_page_which_nobody_keeps() {
    for path in ["/", "/audit", "/devices/02-1D-10-83-F3-E7-83-E0"] {
        let answer = get(path, "");
        assert_eq!(
            (answer.status(), header(&answer, "cache-control")),
            (StatusCode::OK, "no-store"),
            "{path}"
        );
        assert!(header(&answer, "content-type").starts_with("text/html"), "{path}");
    }
}

#[test]
fn a_file_that_is_not_there_is_not_a_page() {
    for path in [
        "/assets/index-00000000.js",
        "/assets/none",
        "/favicon.ico",
        "/assets/../index.html",
        "/saml/providers",
    ] {
        assert_eq!(get(path, "br").status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[test]
fn every_answer_forbids_what_the_pages_do_not_need() {
    let refused = answer(&Method::POST, "/", &HeaderMap::new());
    assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
    for answer in [get("/", ""), get("/assets/none", ""), refused] {
        let policy = header(&answer, "content-security-policy");
        for part in ["default-src 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        assert_eq!(header(&answer, "referrer-policy"), "no-referrer");
    }
}

/// Of a build with the console; one without has nothing to look at, and says so.
#[test]
fn files_with_a_hash_are_kept_for_ever_and_sent_compressed() {
    if !is_built() {
        println!("skipped: this build has no console (scripts/console)");
        return;
    }
    let script =
        FILES.iter().find(|file| file.path.starts_with(HASHED) && file.path.ends_with(".js")).unwrap();
    for (accepted, sent) in
        [("gzip, deflate, br", "br"), ("gzip", "gzip"), ("br;q=0, gzip", "gzip"), ("", "")]
    {
        let answer = get(script.path, accepted);
        assert_eq!(header(&answer, "content-encoding"), sent, "{accepted}");
        assert!(header(&answer, "cache-control").ends_with("immutable"));
        assert_eq!(header(&answer, "vary"), "accept-encoding");
    }
    let page = std::str::from_utf8(find("/index.html").unwrap().plain).unwrap();
    assert!(page.contains(script.path) || FILES.len() > 2, "the page names its files");
    assert!(!page.contains("<script>") && !page.contains("style="), "nothing stands in the page itself");
}

#[test]
fn a_build_without_the_console_says_how_to_get_it() {
    let page = std::str::from_utf8(NOT_BUILT.plain).unwrap();
    assert!(page.contains("scripts/console") && page.contains("make build"));
}
