//! The interceptor of every call that a daemon serves: identity, policy, admission, deadline, and one log line
//! with what was asked and answered.
//!
//! Bodies pass through untouched. Where the log shows them, each frame is copied on its way, decoded against
//! the contract when the line is written, and shown with every field that the contract marks `debug_redact`
//! taken out. A frame that does not decode is shown as its length.

mod frames;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use strife_certs::identity::Peer;
use strife_faults::kill::{self, When};
use strife_proto::Refusal;
use strife_proto::commit::BankName;
use strife_proto::refusal::REFUSAL_KEY;
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::call::{Call, REQUEST_ID_KEY, request_id};
use crate::policy;
use frames::{Bodies, Direction, Tap};

/// What every method of the contract begins with.
const PACKAGE: &str = "/strife.v1.";

/// What the interceptor needs to know of its daemon.
#[derive(Clone, Debug)]
pub struct Interceptor {
    bank: Option<BankName>,
    deadline: Duration,
    permits: Arc<Semaphore>,
    bodies: Option<Arc<Bodies>>,
}

impl Interceptor {
    /// `bank` is whose daemon it is, if it is a bank's; `calls_max` how many calls run at a time; `deadline_ms`
    /// how long one may take until its answer begins; `bodies` whether they stand on the log lines.
    pub fn new(bank: Option<BankName>, calls_max: usize, deadline_ms: u64, bodies: bool) -> Self {
        Self {
            bank,
            deadline: Duration::from_millis(deadline_ms),
            permits: Arc::new(Semaphore::new(calls_max)),
            bodies: bodies.then(|| Arc::new(Bodies::new())),
        }
    }

    fn admit(
        &self,
        method: &str,
        peer: Option<&Arc<Peer>>,
    ) -> Result<tokio::sync::OwnedSemaphorePermit, Refusal> {
        let allowed = peer.is_some_and(|peer| policy::allows(method, &peer.identity, self.bank.as_ref()));
        if !allowed {
            return Err(Refusal::NotAllowed);
        }
        self.permits.clone().try_acquire_owned().map_err(|_| Refusal::Busy)
    }
}

impl<S> Layer<S> for Interceptor {
    type Service = Intercepted<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Intercepted { inner, interceptor: self.clone() }
    }
}

/// A service behind the interceptor.
#[derive(Clone, Debug)]
pub struct Intercepted<S> {
    inner: S,
    interceptor: Interceptor,
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S, B> Service<Request<Body>> for Intercepted<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Answering {
        let method = request.uri().path().to_owned();
        let peer = request.extensions().get::<Arc<Peer>>().cloned();
        let given = request.headers().get(REQUEST_ID_KEY).and_then(|value| value.to_str().ok());
        let call = Call::new(&request_id(given));
        let mut line = Line::begin(&self.interceptor, method, peer.clone(), call.clone());
        let permit = match self.interceptor.admit(&line.method, peer.as_ref()) {
            Ok(permit) => permit,
            Err(refusal) => {
                let response = Status::from(refusal).into_http();
                line.read_status(response.headers());
                return Box::pin(std::future::ready(Ok(response)));
            }
        };
        request.extensions_mut().insert(call);
        if let Some(tap) = line.tap(Direction::Request) {
            request = request.map(|body| Body::new(Observed { body, tap: Some(tap), line: None }));
        }
        // the clone is ready; keep it and leave the other for the next call (tower's rule)
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let deadline = self.interceptor.deadline;
        Box::pin(async move {
            let answered = tokio::time::timeout(deadline, inner.call(request)).await;
            drop(permit);
            let response = match answered {
                Ok(Ok(response)) => response,
                Ok(Err(never)) => match never {},
                Err(_) => {
                    let response = Status::deadline_exceeded("no answer in time").into_http();
                    line.read_status(response.headers());
                    return Ok(response);
                }
            };
            line.read_status(response.headers());
            kill::passes(When::Before, &line.kill_point());
            let tap = line.tap(Direction::Response);
            Ok(response.map(|body| Body::new(Observed { body: Body::new(body), tap, line: Some(line) })))
        })
    }
}

/// A body on its way, seen but not held back.
struct Observed {
    body: Body,
    tap: Option<Tap>,
    line: Option<Line>,
}

impl HttpBody for Observed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            if let (Some(data), Some(tap)) = (frame.data_ref(), &self.tap) {
                tap.take(data);
            }
            if let (Some(trailers), Some(line)) = (frame.trailers_ref(), &mut self.line) {
                line.read_status(trailers);
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// One line of the RPC log, written when it is dropped: when the answer's last byte has gone, or the caller
/// has.
struct Line {
    method: String,
    peer: Option<Arc<Peer>>,
    call: Call,
    begun: Instant,
    status: Option<Code>,
    refusal: Option<String>,
    bodies: Option<Arc<Bodies>>,
    seen: Vec<(Direction, Arc<frames::Seen>)>,
}

impl Line {
    fn begin(interceptor: &Interceptor, method: String, peer: Option<Arc<Peer>>, call: Call) -> Self {
        Self {
            method,
            peer,
            call,
            begun: Instant::now(),
            status: None,
            refusal: None,
            bodies: interceptor.bodies.clone(),
            seen: Vec::new(),
        }
    }

    fn kill_point(&self) -> String {
        if kill::watched() {
            format!("answer/{}", self.method.trim_start_matches(PACKAGE))
        } else {
            String::new()
        }
    }

    fn tap(&mut self, direction: Direction) -> Option<Tap> {
        self.bodies.as_ref()?;
        // messages on a link have a line each; the stream as a whole would repeat them
        if self.method.ends_with("/Link") {
            return None;
        }
        let (tap, seen) = Tap::new();
        self.seen.push((direction, seen));
        Some(tap)
    }

    fn read_status(&mut self, headers: &HeaderMap) {
        if let Some(status) = Status::from_header_map(headers) {
            self.status = Some(status.code());
        }
        if let Some(refusal) = headers.get(REFUSAL_KEY).and_then(|value| value.to_str().ok()) {
            self.refusal = Some(refusal.to_owned());
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        kill::passes(When::Sent, &self.kill_point());
        let facts = self.call.facts();
        let peer = self.peer.as_ref().map_or_else(|| "nobody".to_owned(), |peer| peer.identity.to_string());
        let status = match self.status {
            Some(Code::Ok) => "ok".to_owned(),
            Some(code) => format!("{code:?}"),
            None => "unfinished".to_owned(),
        };
        let body = |direction| {
            let (_, seen) = self.seen.iter().find(|(seen, _)| *seen == direction)?;
            Some(self.bodies.as_ref()?.show(&self.method, direction, seen))
        };
        tracing::info!(
            target: "strife::rpc",
            method = self.method.trim_start_matches(PACKAGE),
            peer,
            person = facts.person,
            transfer = facts.transfer,
            amount = facts.amount,
            code = self.refusal.take().or(facts.code),
            status,
            latency_us = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX),
            request = &*self.call.request_id,
            asked = body(Direction::Request),
            answered = body(Direction::Response),
        );
    }
}
