//! An operator's connection to a bank's own admin port.

use std::path::Path;
use std::sync::Arc;

use strife_certs::CertsError;
use strife_certs::connect::channel;
use strife_certs::identity::Identity;
use strife_certs::tls::Material;
use strife_proto::commit::BankName;
use strife_proto::v1::bank_admin_client::BankAdminClient;
use strife_seams::Tcp;
use tonic::transport::Channel;

/// Longest wait for a connection, in milliseconds.
const CONNECT_MS_MAX: u64 = 3_000;

/// Connects as an operator, when first used.
///
/// # Errors
/// Certificates that cannot be read.
pub fn connect(
    address: &str,
    bank: &BankName,
    authority: &Path,
    certificate: &Path,
    private_key: &Path,
) -> Result<BankAdminClient<Channel>, CertsError> {
    let material = Material { authority, certificate, private_key };
    let expected = Identity::Bank(bank.clone());
    let identity = expected.clone();
    let (dial, accept) = (Arc::new(Tcp), move |peer: &Identity| *peer == expected);
    let channel = channel(dial, address, material.client()?, &identity, CONNECT_MS_MAX, accept);
    Ok(BankAdminClient::new(channel))
}
