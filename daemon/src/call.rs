//! What a handler knows about a call that its log line should say, and the call's request id.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tonic::Request;

/// Metadata key of the request id, which is the same in client, gateway and bank.
pub const REQUEST_ID_KEY: &str = "strife-request-id";

/// Longest request id that is taken from a caller.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// What stands on a call's log line beside what the interceptor sees itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whose session it was.
    pub person: Option<String>,
    /// Payer's bank and id.
    pub transfer: Option<String>,
    /// How much, with the currency.
    pub amount: Option<String>,
    /// What came of it: an outcome's or refusal's stable name.
    pub code: Option<String>,
}

/// One call, as its handler sees it.
#[derive(Clone, Debug)]
pub struct Call {
    /// The same in client, gateway and bank.
    pub request_id: Arc<str>,
    facts: Arc<Mutex<Facts>>,
}

impl Call {
    /// A call of a request id.
    pub fn new(request_id: &str) -> Self {
        Self { request_id: Arc::from(request_id), facts: Arc::default() }
    }

    /// The call that a request belongs to.
    pub fn of<T>(request: &Request<T>) -> Self {
        request.extensions().get::<Call>().cloned().unwrap_or_else(|| Call::new(""))
    }

    /// Says something for the log line.
    pub fn note(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut self.facts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What was said.
    pub fn facts(&self) -> Facts {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A caller's request id if it is short and printable, otherwise a new one.
pub fn request_id(given: Option<&str>) -> String {
    let printable = |text: &&str| {
        !text.is_empty() && text.len() <= REQUEST_ID_BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic())
    };
    given.filter(printable).map_or_else(new_id, str::to_owned)
}

/// An id that no other call of this process has, nor one of another process but by an unlikely chance. It decides nothing.
fn new_id() -> String {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| uuid::Uuid::now_v7().as_u64_pair().1);
    static CALLS: AtomicU64 = AtomicU64::new(1);
    format!("{:016x}-{}", *PROCESS, CALLS.fetch_add(1, Ordering::Relaxed))
}
