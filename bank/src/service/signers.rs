//! Whose device signed what a frame brings: all of a frame's signatures are verified together, here, so that the writer
//! never verifies one.

use strife_proto::many::{Claim, verify_many};
use strife_proto::signing::{KeyId, PublicKey, Tag};
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
    let known: Vec<Option<(KeyId, PublicKey)>> = {
        let state = bank.shared.read();
        let device = |request| {
            let (_, _, signature) = signed(request)?;
            let id = KeyId::from_slice(&signature.key_id).ok()?;
            Some((id, state.devices.get(&id)?.public))
        };
        requests.iter().map(device).collect()
    };
    let claim = |(request, known): (_, &Option<(KeyId, PublicKey)>)| {
        let ((_, key), (tag, message, signature)) = ((*known)?, signed(request)?);
        let Some(Form::Single(signature)) = &signature.form else { return None };
        Some(Claim { key, tag, message, signature })
    };
    let claims: Vec<Option<Claim<'_>>> = requests.iter().zip(&known).map(claim).collect();
    let some: Vec<Claim<'_>> = claims.iter().flatten().copied().collect();
    let mut good = verify_many(&some).into_iter();
    let judged = claims.iter().map(|claim| claim.is_some() && good.next() == Some(true));
    judged.zip(known).map(|(good, known)| known.filter(|_| good).map(|(id, _)| id)).collect()
}
