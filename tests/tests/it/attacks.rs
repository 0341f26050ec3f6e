//! Attacks on a server process: by callers without a token, and by one with a token who asks for too much. Beside each, honest calls.
//!
//! `make prove` runs them at full size, and holds the time of honest calls against their time before:
//! `GRIDTRAIL_ATTACK_SOCKETS`, `_MESSAGES`, `_VERSIONS`, `_SECONDS` and `_CALLS` say how large.

mod attacker;
mod stage;

use crate::support::setting;
use attacker::{half_sent, search_as_of, silent, start_logins, unread_pages, watches};
use stage::{Attacked, Stage, median_ms};
use std::time::Duration;
use tokio::time::Instant;

/// Honest calls of which the median is taken.
fn calls() -> usize {
    usize::try_from(setting("GRIDTRAIL_ATTACK_CALLS", 8)).unwrap()
}

/// Files that the process may open: as few as many systems give a service.
fn few_files() -> u64 {
    setting("GRIDTRAIL_ATTACK_FILES", 256)
}

fn sockets() -> usize {
    usize::try_from(setting("GRIDTRAIL_ATTACK_SOCKETS", 300)).unwrap()
}

/// Holds an attack up while honest calls are made. Prints how long those took before and beside it.
#[allow(clippy::print_stdout, reason = "a figure of `make prove`")]
async fn beside<A>(what: &str, server: &Attacked, attack: impl Future<Output = A>) {
    let before = median_ms(server.searches(calls()).await);
    let attack = attack.await;
    let during = median_ms(server.searches(calls()).await);
    drop(attack);
    println!("{what}: honest calls took {during:.2} ms, and {before:.2} ms before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_silent_sockets_do_not_stop_a_search() {
    let stage = Stage::set(1, 3).await;
    let server = stage.serve(few_files(), &[]).await;
    beside("silent sockets", &server, silent(server.calls, sockets())).await;
    // A handshake that is not ended is one, too.
    let encrypted = stage.serve_encrypted(few_files()).await;
    let sockets = silent(encrypted.calls, sockets()).await;
    for socket in &sockets {
        // The beginning of a handshake: a record of 512 bytes, of which none comes. It may be closed already.
        let _ = socket.try_write(&[22, 3, 1, 2, 0]);
    }
    encrypted.search_encrypted(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_do_not_stop_the_pages_of_logins() {
    let stage = Stage::set(1, 3).await;
    let server = stage.serve(few_files(), &stage.logins()).await;
    let pages = server.pages.unwrap();
    server.metadata().await;
    let idle = silent(pages, sockets()).await;
    server.metadata().await;
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_logins_take_little_memory_and_stop_nobody() {
    let messages = usize::try_from(setting("GRIDTRAIL_ATTACK_MESSAGES", 200)).unwrap();
    let stage = Stage::set(1, 3).await;
    let server = stage.serve(4096, &[]).await;
    server.searches(calls()).await;
    let before = server.peak_mib();
    beside("half-sent logins", &server, half_sent(server.calls, messages)).await;
    let grown = server.peak_mib() - before;
    println!("half-sent logins: {messages} took {grown} MiB");
    // Unbounded, each takes 0.75 MiB.
    assert!(grown < 75, "{grown} MiB");
}

/// All at once: no honest call fails, and the process stays below a gibibyte.
#[tokio::test(flavor = "multi_thread")]
async fn all_attacks_at_once_stop_nobody_and_stay_below_a_gibibyte() {
    let seconds = setting("GRIDTRAIL_ATTACK_SECONDS", 3);
    let versions = setting("GRIDTRAIL_ATTACK_VERSIONS", 30);
    let stage = Stage::set(versions, 40).await;
    let more = [&["--cache-memory", "256"][..], &stage.logins()].concat();
    let server = stage.serve(8192, &more).await;
    let before = median_ms(server.searches(calls()).await);
    let messages = usize::try_from(setting("GRIDTRAIL_ATTACK_MESSAGES", 200)).unwrap();
    let standing = (
        silent(server.calls, sockets()).await,
        silent(server.pages.unwrap(), sockets()).await,
        half_sent(server.calls, messages).await,
        watches(server.calls, 200).await,
    );
    let end = Instant::now() + Duration::from_secs(seconds);
    let attacker = stage.attacker();
    let attacks = [
        tokio::spawn(unread_pages(server.calls, attacker.clone(), end)),
        tokio::spawn(search_as_of(server.calls, attacker, (versions, end))),
        tokio::spawn(start_logins(server.calls, end)),
    ];
    let mut took = Vec::new();
    while Instant::now() < end {
        took.extend(server.searches(1).await);
        server.metadata().await;
    }
    let mut made = Vec::new();
    for attack in attacks {
        made.push(attack.await.unwrap());
    }
    drop(standing);
    let (during, calls, peak) = (median_ms(took.clone()), took.len(), server.peak_mib());
    println!(
        "all attacks at once: {calls} honest calls took {during:.2} ms, and {before:.2} ms before; attackers had {made:?} pages, \
         searches as of earlier, and logins; peak {peak} MiB"
    );
    assert!(peak < 1024, "{peak} MiB");
    assert!(made.iter().all(|made| *made > 0), "{made:?}");
}
