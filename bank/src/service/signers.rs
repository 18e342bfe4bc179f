//! Whose device signed what a frame brings: all of a frame's signatures are verified together, here, so that the writer
//! never verifies one.

use strife_proto::many::{Claim, verify_many};
use strife_proto::signing::{KeyId, Tag};
use strife_proto::v1::{self, link_request::Message as Asked, signature::Form};

use crate::bank::Bank;

/// What a message has signed by a person's device, if it has something.
fn signed(request: &v1::LinkRequest) -> Option<(Tag, &bytes::Bytes, &v1::Signature)> {
    let (tag, order, signature) = match request.message.as_ref()? {
        Asked::Decide(v1::Decide { order: Some(signed), .. })
        | Asked::Inquire(v1::Inquire { order: Some(signed) }) => {
            (Tag::Order, &signed.order, signed.signature.as_ref())
        }
        Asked::Cancel(cancel) => (Tag::Cancel, &cancel.order, cancel.signature.as_ref()),
        _ => return None,
    };
    Some((tag, order, signature?))
}

/// For each message the registered device that signed it, if one did.
pub(super) fn signers(bank: &Bank, requests: &[v1::LinkRequest]) -> Vec<Option<KeyId>> {
    let claims: Vec<Option<(KeyId, Claim<'_>)>> = {
        let state = bank.shared.read();
        let claim = |request| {
            let (tag, message, signature) = signed(request)?;
            let id = KeyId::from_slice(&signature.key_id).ok()?;
            let key = state.devices.get(&id)?.public;
            let Some(Form::Single(signature)) = &signature.form else { return None };
            Some((id, Claim { key, tag, message, signature }))
        };
        requests.iter().map(claim).collect()
    };
    let some: Vec<Claim<'_>> = claims.iter().flatten().map(|(_, claim)| *claim).collect();
    let mut good = verify_many(&some).into_iter();
    claims.into_iter().map(|claim| claim.filter(|_| good.next() == Some(true)).map(|(id, _)| id)).collect()
}
