//! What both daemons share: the TLS acceptor, the interceptor, policy, session tokens, log
//! files, running and draining. What must never: anything about money.

pub mod accept;
pub mod call;
pub mod interceptor;
pub mod lifecycle;
pub mod logs;
pub mod policy;
pub mod ready;
pub mod throttle;
pub mod token;
pub mod trust;

/// Of every program that serves: a call allocates hundreds of small pieces and frees them on other threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
