//! Copies of the frames that passed, and how the log shows them: decoded against the contract, secrets taken
//! out.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, ReflectMessage, Value};

/// Bytes of one direction of one call that are kept for the log; the rest is counted.
const KEPT_BYTES_MAX: usize = 16 * 1024;

/// A gRPC frame's header: a flag for compression and four bytes of length.
const FRAME_HEADER_BYTES: usize = 5;

/// Which way a body goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Response,
}

/// What has passed.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<(Vec<u8>, usize)>);

/// Where what passes is copied from.
#[derive(Debug)]
pub(super) struct Tap(Arc<Seen>);

impl Tap {
    pub fn new() -> (Self, Arc<Seen>) {
        let seen = Arc::new(Seen::default());
        (Self(seen.clone()), seen)
    }

    /// Copies a chunk, as far as there is room.
    pub fn take(&self, data: &Bytes) {
        let mut seen = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT_BYTES_MAX.saturating_sub(seen.0.len()).min(data.len());
        seen.0.extend(&data[..room]);
        seen.1 += data.len();
    }
}

/// Decodes and redacts what has passed.
#[derive(Debug)]
pub(super) struct Bodies {
    pool: DescriptorPool,
}

impl Bodies {
    pub fn new() -> Self {
        Self { pool: strife_proto::descriptor_pool() }
    }

    /// What has passed in one direction of a call of `method`, as JSON.
    pub fn show(&self, method: &str, direction: Direction, seen: &Seen) -> String {
        let (kept, total) = {
            let seen = seen.0.lock().unwrap_or_else(PoisonError::into_inner);
            (seen.0.clone(), seen.1)
        };
        let Some(descriptor) = self.message_of(method, direction) else {
            return format!("{total} bytes");
        };
        let mut shown: Vec<String> = Vec::new();
        let mut rest = kept.as_slice();
        while let Some((body, after)) = next_frame(rest) {
            shown.push(show_message(&descriptor, body));
            rest = after;
        }
        if !rest.is_empty() || kept.len() < total {
            shown.push(format!("… {total} bytes"));
        }
        shown.join(" ")
    }

    fn message_of(&self, method: &str, direction: Direction) -> Option<MessageDescriptor> {
        let (service, name) = method.trim_start_matches('/').split_once('/')?;
        let service = self.pool.get_service_by_name(service)?;
        let method = service.methods().find(|method| method.name() == name)?;
        Some(match direction {
            Direction::Request => method.input(),
            Direction::Response => method.output(),
        })
    }
}

fn next_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (header, rest) = bytes.split_at_checked(FRAME_HEADER_BYTES)?;
    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
    rest.split_at_checked(length as usize)
}

fn show_message(descriptor: &MessageDescriptor, body: &[u8]) -> String {
    match DynamicMessage::decode(descriptor.clone(), body) {
        Ok(mut message) => {
            redact(&mut message);
            serde_json::to_string(&message).unwrap_or_else(|_| format!("{} bytes", body.len()))
        }
        Err(_) => format!("{} bytes that are no {}", body.len(), descriptor.name()),
    }
}

/// Takes out every field that the contract marks `debug_redact`, at every depth.
fn redact(message: &mut DynamicMessage) {
    let fields: Vec<_> = message.descriptor().fields().collect();
    for field in fields {
        let secret = field.options().get_field_by_name("debug_redact").and_then(|value| value.as_bool());
        if secret == Some(true) {
            message.clear_field(&field);
        } else if message.has_field(&field) {
            redact_value(message.get_field_mut(&field));
        }
    }
}

fn redact_value(value: &mut Value) {
    match value {
        Value::Message(inner) => redact(inner),
        Value::List(items) => items.iter_mut().for_each(redact_value),
        Value::Map(entries) => entries.values_mut().for_each(redact_value),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;
    use strife_proto::v1;

    fn frame(message: &impl Message) -> Bytes {
        let body = message.encode_to_vec();
        let mut bytes = vec![0];
        bytes.extend((body.len() as u32).to_be_bytes());
        bytes.extend(body);
        Bytes::from(bytes)
    }

    fn shown(method: &str, chunks: &[Bytes]) -> String {
        let (tap, seen) = Tap::new();
        chunks.iter().for_each(|chunk| tap.take(chunk));
        Bodies::new().show(method, Direction::Request, &seen)
    }

    #[test]
    fn bodies_are_shown_without_their_secrets_at_every_depth() {
        let read = v1::ReadAccounts { token: "eyJsecret".into() };
        let request = v1::LinkRequest {
            number: 7,
            message: Some(v1::link_request::Message::Accounts(read)),
            request_id: "abc".into(),
        };
        let frame = frame(&v1::LinkRequests { requests: vec![request] });
        // cut in the middle, as the network does
        let text = shown("/strife.v1.Bank/Link", &[frame.slice(..4), frame.slice(4..)]);
        assert!(text.contains("abc") && text.contains('7') && !text.contains("secret"), "{text}");
    }

    #[test]
    fn a_bad_or_oversized_frame_is_counted_and_never_panics() {
        let bad = Bytes::from_static(&[0, 0, 0, 0, 2, 0xff, 0xff, 1]);
        assert!(shown("/strife.v1.Bank/Login", &[bad]).contains("2 bytes that are no LoginRequest"));
        let huge = Bytes::from(vec![0xff; KEPT_BYTES_MAX * 2]);
        assert!(shown("/strife.v1.Bank/Login", &[huge]).contains(&format!("{} bytes", KEPT_BYTES_MAX * 2)));
        assert_eq!(shown("/nothing/here", &[Bytes::from_static(b"xyz")]), "3 bytes");
    }
}
