//! Elections against a Lease in memory, in paused time: who leads when, with clocks that disagree.

use std::{
    future,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{Method, Request, Response};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{Elector, Fence, Leadership, State};
use crate::leader::fence::Clock;

/// The API server's one Lease.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<(Option<Value>, u64)>>);

impl Server {
    /// A client, and a switch that cuts its connection.
    fn client(&self) -> (Client, Arc<AtomicBool>) {
        let (server, cut) = (self.clone(), Arc::new(AtomicBool::new(false)));
        let gone = cut.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (server, gone) = (server.clone(), gone.clone());
            async move {
                if gone.load(Ordering::SeqCst) {
                    return future::pending().await;
                }
                let method = request.method().clone();
                let body = request.into_body().collect_bytes().await?;
                let (code, answer) = server.answer(&method, serde_json::from_slice(&body).unwrap_or_default());
                let response = Response::builder().status(code).header("content-type", "application/json");
                Ok::<_, kube::Error>(response.body(Body::from(answer.to_string().into_bytes())).unwrap())
            }
        });
        (Client::new(service, "default"), cut)
    }

    fn answer(&self, method: &Method, body: Value) -> (u16, Value) {
        let refuse = |code: u16| {
            let reason = if code == 404 { "NotFound" } else { "Conflict" };
            (code, json!({"kind": "Status", "status": "Failure", "code": code, "message": "no", "reason": reason}))
        };
        let mut guard = self.0.lock().unwrap();
        let (lease, version) = &mut *guard;
        let current = lease.as_ref().map(|lease| lease["metadata"]["resourceVersion"].clone());
        match (method, current) {
            (&Method::GET, Some(_)) => (200, lease.clone().unwrap()),
            (&Method::GET | &Method::PUT, None) => refuse(404),
            (&Method::POST, Some(_)) => refuse(409),
            (&Method::PUT, Some(current)) if body["metadata"]["resourceVersion"] != current => refuse(409),
            (&Method::PUT | &Method::POST, _) => {
                *version += 1;
                let mut stored = body;
                stored["metadata"]["resourceVersion"] = json!(version.to_string());
                *lease = Some(stored.clone());
                (200, stored)
            }
            _ => refuse(405),
        }
    }

    fn lease(&self) -> Value {
        self.0.lock().unwrap().0.clone().unwrap_or_default()
    }
}

struct Candidate {
    leadership: Leadership,
    fence: Fence,
    cut: Arc<AtomicBool>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Candidate {
    fn works(&self) -> bool {
        self.leadership.leads()
    }
}

fn elapsed() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    Instant::now().saturating_duration_since(*START.get_or_init(Instant::now)) + Duration::from_secs(1000)
}

/// A clock that gains four seconds in ten, and began elsewhere.
fn fast() -> Duration {
    elapsed().mul_f64(1.4) + Duration::from_hours(24)
}

fn candidate(server: &Server, name: &str, clock: Clock) -> Candidate {
    let (client, cut) = server.client();
    let fence = Fence::closed(clock);
    let (elector, leadership) = Elector::new(client, "system", "operator", name.to_owned(), fence.clone());
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(elector.run(async move { drop(stopped.await) }));
    Candidate { leadership, fence, cut, stop, task }
}

/// How long until a candidate leads. Fails when two would write at one time meanwhile.
async fn until_leads(who: &Candidate, others: &[&Candidate]) -> Duration {
    let start = Instant::now();
    while !who.works() {
        assert!(start.elapsed() < Duration::from_mins(2), "nobody leads");
        sleep(Duration::from_millis(10)).await;
        let open = others.iter().filter(|other| other.fence.is_open()).count() + usize::from(who.fence.is_open());
        assert!(open <= 1, "two may write");
    }
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn one_leads_and_the_other_knows_it() {
    let server = Server::default();
    let a = candidate(&server, "a", elapsed);
    assert!(until_leads(&a, &[]).await < Duration::from_secs(1), "a Lease that is free is taken at once");
    let b = candidate(&server, "b", elapsed);
    sleep(Duration::from_mins(5)).await;
    assert!(a.works() && a.fence.is_open() && !b.works() && !b.fence.is_open());
    assert_eq!(b.leadership.state(), State::Standby { leader: Some("a".to_owned()) });
    assert_eq!(server.lease()["spec"]["leaseTransitions"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_killed_is_followed_within_twenty_seconds() {
    for clock in [elapsed, fast] {
        let server = Server::default();
        let a = candidate(&server, "a", elapsed);
        until_leads(&a, &[]).await;
        let b = candidate(&server, "b", clock);
        sleep(Duration::from_secs(33)).await;
        a.task.abort();
        let waited = until_leads(&b, &[&a]).await;
        assert!(waited <= Duration::from_secs(20), "{waited:?}");
        assert_eq!(server.lease()["spec"]["leaseTransitions"], 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_ends_is_followed_at_once() {
    let server = Server::default();
    let a = candidate(&server, "a", elapsed);
    until_leads(&a, &[]).await;
    let b = candidate(&server, "b", elapsed);
    sleep(Duration::from_secs(33)).await;
    let Candidate { leadership, fence, stop, task, .. } = a;
    stop.send(()).unwrap();
    task.await.unwrap();
    assert!(!leadership.leads() && !fence.is_open());
    let waited = until_leads(&b, &[]).await;
    assert!(waited <= Duration::from_secs(2), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_hears_nothing_stops_before_another_begins() {
    let server = Server::default();
    let a = candidate(&server, "a", elapsed);
    until_leads(&a, &[]).await;
    let b = candidate(&server, "b", fast);
    sleep(Duration::from_secs(33)).await;
    a.cut.store(true, Ordering::SeqCst);
    until_leads(&b, &[&a]).await;
    assert!(!a.works(), "it knows that it does not lead");
    a.cut.store(false, Ordering::SeqCst);
    sleep(Duration::from_secs(30)).await;
    assert!(b.works() && !a.works(), "who comes back does not take the Lease from the one who has it");
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_was_away_finds_the_same_leader_at_work() {
    let server = Server::default();
    let a = candidate(&server, "a", elapsed);
    until_leads(&a, &[]).await;
    a.cut.store(true, Ordering::SeqCst);
    sleep(Duration::from_mins(5)).await;
    assert!(!a.works() && !a.fence.is_open());
    a.cut.store(false, Ordering::SeqCst);
    assert!(until_leads(&a, &[]).await < Duration::from_secs(8));
}

#[tokio::test(start_paused = true)]
async fn a_stolen_lease_ends_the_work_within_a_period() {
    let server = Server::default();
    let a = candidate(&server, "a", elapsed);
    until_leads(&a, &[]).await;
    let mut stolen = server.lease();
    stolen["spec"]["holderIdentity"] = json!("thief");
    server.answer(&Method::PUT, stolen);
    sleep(Duration::from_millis(2100)).await;
    assert!(!a.works() && !a.fence.is_open());
    assert_eq!(server.lease()["spec"]["holderIdentity"], "thief");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_deleted_is_made_anew_by_its_holder() {
    let server = Server::default();
    let a = candidate(&server, "a", elapsed);
    until_leads(&a, &[]).await;
    server.0.lock().unwrap().0 = None;
    for _ in 0..100 {
        sleep(Duration::from_millis(100)).await;
        assert!(a.works());
    }
    assert_eq!(server.lease()["spec"]["holderIdentity"], "a");
}
